"""The list of the Hub simulator, held against the real client and against what is known of the Hub."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError

from tests.simulators.hub import Fault
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import GeneratedModels

STABLE = "/api/models?sort=createdAt&direction=1"


@pytest.fixture
def hub() -> Iterator[HubList]:
    with HubList(GeneratedModels(1000)) as hub:
        yield hub


def crawl(hub: HubList, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    url = hub.url + path
    with httpx.Client(trust_env=False) as client:
        while url:
            answer = client.get(url)
            found += answer.raise_for_status().json()
            url = answer.links.get("next", {}).get("url", "")
    return found


@pytest.mark.parametrize(
    "path",
    [
        f"{STABLE}&limit=7",
        "/api/models?sort=createdAt&limit=300&expand=sha&expand=gated",
        "/api/models?sort=lastModified&direction=-1&limit=100",
        "/api/models?sort=downloads&direction=-1&limit=1000",
        "/api/models?sort=likes&direction=1&limit=99",
    ],
)
def test_each_order_that_does_not_move_lists_every_model_once(hub: HubList, path: str) -> None:
    for number, index in enumerate((5, 900, 33)):
        hub.models.change(index, at_ms=1_793_600_000_000 + number)
    ids = [row["id"] for row in crawl(hub, path)]
    assert len(ids) == len(set(ids)) == 1000
    assert set(ids) == hub.models.ids()


def test_the_order_without_sort_moves(hub: HubList) -> None:
    ids = [row["id"] for row in crawl(hub, "/api/models?limit=100")]
    assert set(ids) < hub.models.ids()


def test_the_real_client_lists_and_describes(hub: HubList) -> None:
    api = HfApi(hub.url, token=False)
    found = list(api.list_models(filter="text-generation", gated=True, expand=["gated", "tags"], limit=20))
    assert found
    assert all(one.gated and "text-generation" in (one.tags or ()) for one in found)
    assert [one.id for one in api.list_models(search="llama-3.1-8b-inst", author="meta-llama")] == [
        "meta-llama/Llama-3.1-8B-Instruct"
    ]
    assert api.model_info("Qwen/Qwen2.5-1.5B-Instruct").safetensors
    with pytest.raises(GatedRepoError):
        api.auth_check("meta-llama/Llama-3.1-8B-Instruct")
    hub.tokens["t"] = frozenset({"meta-llama/Llama-3.1-8B-Instruct"})
    HfApi(hub.url, token="t").auth_check("meta-llama/Llama-3.1-8B-Instruct")


def test_a_renamed_model_has_its_object_id_and_its_old_name_leads_there(hub: HubList) -> None:
    before = hub.models.document(77)
    hub.models.change(77, id="new-owner/name")
    after = HfApi(hub.url, token=False).model_info(before["id"])
    assert (after.id, after.author) == ("new-owner/name", "new-owner")
    assert hub.models.document(77)["_id"] == before["_id"]


def test_the_quota_is_told_and_kept(hub: HubList) -> None:
    hub.rules.quota, hub.rules.retry_after = 3, "7"
    answers = [httpx.get(f"{hub.url}{STABLE}&limit=1", trust_env=False) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["ratelimit"].partition(";t=")[0] for one in answers][-2:] == ['"api";r=0', '"api";r=0']
    assert answers[-1].headers["retry-after"] == "7"
    assert hub.limited == 1


@pytest.mark.parametrize("query", ["limit=x", "sort=name", "expand=everything", "cursor=eyJ9", "expand=sha&full=1"])
def test_what_the_hub_does_not_know_is_400(hub: HubList, query: str) -> None:
    assert httpx.get(f"{hub.url}/api/models?{query}", trust_env=False).status_code == 400


def test_failures_where_they_are_wanted(hub: HubList) -> None:
    hub.rules.config_slow_from, hub.rules.slow_from, hub.rules.largest = 1, 500, 400
    hub.at[4] = Fault(cut_after=100)
    with httpx.Client(base_url=hub.url, trust_env=False) as client:
        begun = client.get(f"{STABLE}&limit=1000&expand=config&cursor=")
        page = client.get(f"{STABLE}&limit=600")
        link = page.links["next"]["url"]
        assert begun.status_code == 200
        assert len(page.json()) == 400
        assert parse_qs(urlsplit(link).query)["limit"] == ["600"]
        deep = client.get(f"{STABLE}&limit=600&cursor=" + _cursor(600))
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(link)
        shallow = client.get(f"{STABLE}&limit=100&cursor=" + _cursor(600))
    assert (deep.status_code, shallow.status_code) == (504, 200)
    assert {"pages": 5, "limited": 0}.items() <= hub.stats().items()


def _cursor(index: int) -> str:
    condition = {"$or": [{"createdAt": "2024-01-01T00:00:00Z", "_id": {"$gt": f"{index + 1:x}"}}]}
    return base64.b64encode(json.dumps(condition).encode()).decode()


def test_as_a_process() -> None:
    command = [sys.executable, "-m", "tests.simulators.hub_list", "--models", "2500000", "--quota", "9"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        port = int(process.stdout.readline())
        answer = httpx.get(f"http://127.0.0.1:{port}{STABLE}&limit=1000&expand=sha", trust_env=False)
    finally:
        process.kill()
        process.communicate()
    assert len(answer.json()) == 1000
    assert answer.headers["ratelimit"].startswith('"api";r=8')
