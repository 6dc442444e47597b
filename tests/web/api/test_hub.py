"""The Hub's models over HTTP: from the catalogue for everybody, from the Hub itself for who has a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from tests.hub_entries import COMMIT, LARGE, LINES, LLAMA, NOW, QWEN, fill, listed
from tests.services.weighbridge import Served, holds, serving
from tests.simulators.hub import Fault
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import GeneratedModels
from weighbridge.catalog import JobOrder
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.domain.hub_models import Gated
from weighbridge.web.api.hub_documents import HubChanges, HubModels, WholeHubModel

pytestmark = pytest.mark.xdist_group("web")
GATED = listed("org/gated", Gated.MANUAL, downloads=5)


@pytest.fixture(scope="module")
def simulator() -> Iterator[HubList]:
    with HubList(GeneratedModels(40)) as running:
        running.add("org/gated", {"config.json": b"{}"}, gated=True)
        running.tokens = {"hf_in": frozenset({"org/gated"})}
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, simulator: HubList) -> Iterator[Served]:
    """Serve a registry that has the catalogue of the Hub, and a token that has access to one gated model."""
    home = tmp_path_factory.mktemp("hub")
    with HubCatalog.open(f"sqlite:///{home}/catalog.db") as hub:
        fill(hub, [LLAMA, LARGE, replace(QWEN, gated=Gated.AUTO), GATED], timedelta(days=2))
        fill(hub, [LLAMA, LARGE, QWEN, GATED], timedelta(hours=1))
    environment = {
        "WEIGHBRIDGE_HUGGINGFACE_ENDPOINT": simulator.url,
        "WEIGHBRIDGE_PRIVATE_NETWORKS": '["127.0.0.0/8"]',
        "WEIGHBRIDGE_SERVE_JOBS": "0",
        "HF_TOKEN": "hf_in",
    }
    with serving(home, environment) as found:
        yield found


def test_a_list_is_what_the_catalogue_has(served: Served, simulator: HubList) -> None:
    asked = len(simulator.requests)
    found = holds(HubModels, served.get("/hub/models?search=instruct"))
    assert [one["label"] for one in found["items"]] == list(LINES)
    assert [one["gated"] for one in found["items"]] == ["auto", "manual", False]
    assert found["catalogue"] == {
        "answered_by": "catalogue",
        "as_of": (NOW - timedelta(hours=1)).isoformat(),
        "models": 4,
        "note": "",
    }
    assert len(simulator.requests) == asked


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("search=instruct&filter=text-generation&sort=downloads&max_memory=16000000000&gated=no", [QWEN.id]),
        ("gated=false", [QWEN.id]),
        ("gated=true&sort=id&order=asc", [LARGE.id, LLAMA.id, GATED.id]),
        ("gated=auto&gated=no&sort=downloads", [LLAMA.id, QWEN.id]),
        ("license=llama3.1&min_params=100000000000", [LARGE.id]),
        ("author=Qwen&library=transformers", [QWEN.id]),
        ("filter=gguf", []),
    ],
)
def test_filters_and_orders(served: Served, query: str, ids: list[str]) -> None:
    found = holds(HubModels, served.get(f"/hub/models?{query}"))["items"]
    assert sorted(one["id"] for one in found) == sorted(ids)


def test_parts_follow_each_other(served: Served) -> None:
    first = holds(HubModels, served.get("/hub/models?limit=3"))
    rest = holds(HubModels, served.get("/hub/models", params={"limit": 3, "cursor": first["next"]}))
    assert [one["id"] for one in first["items"] + rest["items"]] == [LLAMA.id, LARGE.id, QWEN.id, GATED.id]
    assert rest["next"] is None


@pytest.mark.parametrize(
    "query",
    ["gated=perhaps", "sort=best", "limit=0", "cursor=nonsense", "max_memory=-1", "serach=x", "search=a&search=b"],
)
def test_what_no_list_has(served: Served, query: str) -> None:
    assert served.get(f"/hub/models?{query}").status_code in (400, 422)


@pytest.mark.parametrize("written", [QWEN.id, QWEN.id.replace("/", "%2F"), QWEN.id.lower()])
def test_one_model_with_its_history(served: Served, written: str) -> None:
    found = holds(WholeHubModel, served.get(f"/hub/models/{written}"))
    assert (found["id"], found["gated"], found["access"]["state"]) == (QWEN.id, False, "public")
    assert [(one["field"], one["before"], one["after"]) for one in found["history"]] == [("gated", "auto", "no")]
    assert found["import"] == {"uri": f"hf:{QWEN.id}"}
    assert found["page"].endswith(f"/{QWEN.id}")


def test_whether_the_servers_token_has_access(served: Served, simulator: HubList) -> None:
    assert holds(WholeHubModel, served.get("/hub/models/org/gated"))["access"]["state"] == "unknown"
    reader = served.key("reader")
    found = holds(WholeHubModel, served.get("/hub/models/org/gated", headers=reader))
    assert (found["access"]["state"], found["access"]["what_to_do"]) == ("granted", "")
    denied = holds(WholeHubModel, served.get(f"/hub/models/{LARGE.id}", headers=reader))["access"]
    assert denied["state"] == "denied"
    assert "people of meta-llama approve or reject it" in denied["what_to_do"]
    assert denied["page"] in denied["what_to_do"]
    assert "hf_in" not in str(found)


def test_only_a_caller_with_a_key_has_the_hub_asked(served: Served, simulator: HubList) -> None:
    wanted = simulator.models.id(20)
    asked = len(simulator.requests)
    assert served.get(f"/hub/models/{wanted}").status_code == 404
    assert holds(HubModels, served.get("/hub/models?live=true"))["catalogue"]["answered_by"] == "catalogue"
    assert len(simulator.requests) == asked
    reader = served.key("reader")
    found = holds(WholeHubModel, served.get(f"/hub/models/{wanted}", headers=reader))
    assert (found["id"], found["catalogue"]["answered_by"]) == (wanted, "hub")
    assert served.get(f"/hub/models/{wanted}").status_code == 200, "it is remembered"
    live = holds(HubModels, served.get("/hub/models?live=true&limit=5", headers=reader))
    assert (live["catalogue"]["answered_by"], len(live["items"])) == ("hub", 5)


def test_a_hub_that_is_down_fails_no_answer(served: Served, simulator: HubList) -> None:
    reader = served.key("reader")
    simulator.faults[""] = Fault(status=503)
    try:
        found = holds(HubModels, served.get("/hub/models?live=true&author=meta-llama", headers=reader))
        unknown = served.get(f"/hub/models/{simulator.models.id(21)}", headers=reader)
    finally:
        simulator.faults.clear()
    assert [one["id"] for one in found["items"]] == [LLAMA.id, LARGE.id]
    assert found["catalogue"]["note"] == "The Hub cannot be asked now."
    assert unknown.status_code == 404
    assert simulator.url not in unknown.text


@pytest.mark.parametrize("id_", ["none/none", "..%2F..%2Fetc", "a/b/c", "%00", "x%0Ay", "%F0%9F%98%80"])
def test_what_no_model_is_called(served: Served, id_: str) -> None:
    assert served.get(f"/hub/models/{id_}").status_code in (404, 422)


def test_what_is_here_is_for_who_may_read_it(served: Served, tmp_path: Path) -> None:
    settle(served.catalog, name="secret/llama")  # It came from hf:org/name.
    job = served.catalog.jobs.add(JobOrder("ingest", "secret/qwen", {"uri": f"hf:{QWEN.id}"}, "key:ci"))
    whole, elsewhere = served.key("reader"), served.key("reader", "elsewhere/*")
    here = holds(WholeHubModel, served.get(f"/hub/models/{QWEN.id}", headers=whole))["here"]
    assert (here["state"], here["name"], here["job"]) == ("running", "secret/qwen", job.id)
    hidden = holds(WholeHubModel, served.get(f"/hub/models/{QWEN.id}", headers=elsewhere))["here"]
    assert (hidden["state"], hidden["name"], hidden["job"]) == ("absent", None, None)
    served.catalog.jobs.cancel(job.id)


def test_why_an_attempt_failed_is_for_admins(served: Served) -> None:
    attempt = served.catalog.begin_ingest(LLAMA.id, f"hf:{LLAMA.id}")
    served.catalog.update_ingest(attempt, status="ERROR", error="No space left at /srv/store.")
    reasons = [
        holds(WholeHubModel, served.get(f"/hub/models/{LLAMA.id}", headers=served.key(role)))["here"]["reason"]
        for role in ("admin", "reader")
    ]
    assert reasons[0] == "No space left at /srv/store."
    assert "/srv" not in reasons[1]


def test_changes_since_a_time(served: Served) -> None:
    since = "2026-11-01T00:00:00Z"
    found = holds(HubChanges, served.get(f"/hub/changes?since={since}&field=gated"))["items"]
    assert [(one["id"], one["before"], one["after"]) for one in found] == [(QWEN.id, "auto", "no")]
    assert holds(HubChanges, served.get("/hub/changes?since=2027-01-01T00:00:00Z"))["items"] == []
    assert served.get("/hub/changes").status_code == 422


def test_a_client_that_has_the_answer_gets_none(served: Served) -> None:
    first = served.get(f"/hub/models/{QWEN.id}")
    again = served.get(f"/hub/models/{QWEN.id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_commit_tells_whether_it_is_current(served: Served) -> None:
    assert holds(WholeHubModel, served.get(f"/hub/models/{QWEN.id}"))["sha"] == COMMIT
