"""The mode `gated` with real clients: a cold miss waits by itself and loads, and a refusal is read in the client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.services.clamd import eicar, signatures
from tests.services.weighbridge import serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import Mirrored, mirrored
from weighbridge.errors import SourceUnavailable, TooManyAtOnce
from weighbridge.web.mirror.refusals import refusal

pytestmark = pytest.mark.xdist_group("web")

FILES = {"config.json": b'{"model_type": "llama"}', "model.bin": b"weights" * 1000}
#: Seconds within which clients want a first byte.
PATIENCE_S = 8


@dataclass
class Gated:
    """A mirror before a Hub, and the header with a reader's key."""

    mirror: Mirrored
    hub: Hub
    key: dict[str, str]

    @property
    def token(self) -> str:
        return self.key["Authorization"].removeprefix("Bearer ")

    def get(self, path: str) -> httpx.Response:
        began = time.monotonic()
        response = self.mirror.request("GET", path, headers=self.key)
        assert time.monotonic() - began < PATIENCE_S
        return response

    def until(self, path: str) -> httpx.Response:
        """Ask until there is an answer other than that it is being weighed."""
        while (response := self.get(path)).status_code == 429:
            assert int(response.headers["retry-after"]) >= 1
            time.sleep(0.1)
        return response


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    folder = tmp_path_factory.mktemp("gated")
    config = folder / "mirror.yaml"
    with Hub() as hub:
        hub.tokens["hf_upstream"] = frozenset({"org/private"})
        config.write_text(
            "backends:\n  - type: huggingface\n    config:\n      prefix: /hub/\n"
            f"      base_url: {hub.url}\n      token: ${{UPSTREAM_TOKEN}}\n      mode: gated\n"
        )
        environment = {
            "WEIGHBRIDGE_POLICY": "minimal",
            "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(folder / "signatures")),
            "UPSTREAM_TOKEN": "hf_upstream",
        }
        with serving(folder / "home", environment, "--config", str(config)) as served:
            mirror = mirrored(served, folder / "home")
            mirror.url = mirror.url.replace("/huggingface", "/hub")
            yield Gated(mirror, hub, served.key("reader"))


def test_a_cold_miss_waits_and_loads(gated: Gated, tmp_path: Path) -> None:
    gated.hub.add("org/private", FILES, private=True)
    code = (
        "from huggingface_hub import hf_hub_download, snapshot_download\n"
        "print(open(hf_hub_download('org/private', 'config.json')).read())\n"
        "print(snapshot_download('org/private'))\n"
    )
    done = gated.mirror.python(code, tmp_path, HF_TOKEN=gated.token)
    assert done.returncode == 0, done.stderr
    assert FILES["config.json"].decode() in done.stdout
    assert (Path(done.stdout.splitlines()[-1]) / "model.bin").read_bytes() == FILES["model.bin"]
    sent = {request.headers.get("authorization") for request in gated.hub.asked(path="org/private")}
    assert sent == {"Bearer hf_upstream"}, "the client's key is for this registry"
    assert len([job for job in gated.mirror.served.catalog.jobs.listed() if job.order.name == "org/private"]) == 1


def test_a_description_says_how_far_it_is(gated: Gated, tmp_path: Path) -> None:
    gated.hub.add("org/described", {**FILES, "slow.bin": b"slow" * 1000})
    gated.hub.fault("/slow.bin", methods=("GET", "HEAD"), status=503)
    response = gated.get("/api/models/org/described")
    assert response.status_code == 429
    assert "org/described is being weighed" in response.headers["x-error-message"]
    done = gated.mirror.python(
        "from huggingface_hub import model_info; model_info('org/described')", tmp_path, HF_TOKEN=gated.token
    )
    assert "org/described is being weighed" in done.stderr
    gated.hub.faults.clear()


def test_what_is_refused_and_what_is_missing_says_so(gated: Gated, tmp_path: Path) -> None:
    gated.hub.add("org/bad", {**FILES, "run.bin": eicar()})
    refused = gated.until("/org/bad/resolve/main/config.json")
    assert (refused.status_code, refused.headers["x-error-code"]) == (403, "GatedRepo")
    assert "/api/models/org%2Fbad/versions/1.0.0" in refused.headers["x-error-message"]
    missing = gated.until("/org/none/resolve/main/config.json")
    assert (missing.status_code, missing.headers["x-error-code"]) == (404, "RepoNotFound")
    code = "from huggingface_hub import hf_hub_download; hf_hub_download('org/{}', 'config.json')"
    for name, words in (("bad", "quarantined"), ("none", "could not be taken in")):
        done = gated.mirror.python(code.format(name), tmp_path, HF_TOKEN=gated.token)
        assert words in done.stderr, done.stderr


def test_clients_wait_for_a_hub_that_is_away_and_for_their_turn() -> None:
    away = SourceUnavailable("org/name is not here, and its Hub could not be reached.", retry_after_s=9)
    full = TooManyAtOnce("100 jobs of yours wait already, and no more may.", retry_after_s=30)
    for error, wait in ((away, "9"), (full, "30")):
        found = refusal(error)
        assert (found.status_code, found.headers["retry-after"]) == (429, wait)
        assert error.problem in found.headers["x-error-message"]


def test_a_branch_is_taken_in_once_and_loads_by_its_commit(gated: Gated, tmp_path: Path) -> None:
    """Clients ask for the branch's commit, then for each file by that."""
    gated.hub.add("org/branched", FILES).commit({**FILES, "config.json": b'{"of": "other"}'}, branch="other")
    commit = gated.until("/api/models/org/branched/revision/other").json()["sha"]
    code = (
        "from huggingface_hub import snapshot_download\n"
        "print(open(snapshot_download('org/branched', revision='other') + '/config.json').read())\n"
    )
    done = gated.mirror.python(code, tmp_path, HF_TOKEN=gated.token)
    assert '{"of": "other"}' in done.stdout, done.stderr
    names = [job.order.name for job in gated.mirror.served.catalog.jobs.listed() if "org/branched" in job.order.name]
    assert names == ["org/branched:revision/other"]
    assert gated.get(f"/org/branched/resolve/{commit}/none").headers["x-error-code"] == "EntryNotFound"


def test_without_a_key_nothing_is_taken_in(gated: Gated) -> None:
    gated.hub.add("org/anonymous", FILES)
    response = gated.mirror.get("/org/anonymous/resolve/main/config.json")
    assert response.status_code == 401
    assert "HF_TOKEN" in response.headers["x-error-message"]
    assert gated.hub.asked(path="anonymous") == []


def test_metrics_tell_hits_from_misses(gated: Gated) -> None:
    gated.hub.add("org/counted", FILES)
    gated.until("/org/counted/resolve/main/config.json")
    base = gated.mirror.served.url.removesuffix("/api")
    text = gated.mirror.served.client.get(f"{base}/metrics").text
    for line in ('mirror_files_total{result="hit"}', 'mirror_files_total{result="waiting"}', "upstream_bytes_total"):
        assert f"\nweighbridge_{line} " in text
