"""`pass_tokens` with a real client: a token of the Hub loads what the Hub lets it read, and sees nothing else here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.clamd import signatures
from tests.services.weighbridge import serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import mirrored
from tests.web.mirror.test_gated import FILES, Gated

pytestmark = pytest.mark.xdist_group("web")

PRIVATE = "/org/private/resolve/main/config.json"


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    folder = tmp_path_factory.mktemp("passing")
    config = folder / "mirror.yaml"
    with Hub() as hub:
        hub.add("org/private", FILES, private=True)
        hub.tokens |= {
            "hf_mirror": frozenset({"org/private"}),
            "hf_alice": frozenset({"org/private"}),
            "hf_bob": frozenset(),
        }
        config.write_text(
            f"backends: [{{type: huggingface, config: {{base_url: {hub.url}, token: hf_mirror, mode: gated, "
            "pass_tokens: true}}]"
        )
        environment = {
            "WEIGHBRIDGE_POLICY": "minimal",
            "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(folder / "signatures")),
            "WEIGHBRIDGE_API_READING": "closed",
        }
        with serving(folder / "home", environment, "--config", str(config)) as served:
            found = Gated(mirrored(served, folder / "home"), hub, served.key("reader"))
            assert found.until(PRIVATE).status_code == 200, "the holder of a key has it taken in"
            yield found


def test_a_token_loads_what_it_may_and_nobody_else_does(passing: Gated, tmp_path: Path) -> None:
    code = "from huggingface_hub import snapshot_download; print(snapshot_download('org/private'))"
    done = passing.mirror.python(code, tmp_path / "alice", HF_TOKEN="hf_alice")
    assert done.returncode == 0, done.stderr
    assert (Path(done.stdout.strip()) / "model.bin").read_bytes() == FILES["model.bin"]
    refused = passing.mirror.python(code, tmp_path / "bob", HF_TOKEN="hf_bob")
    assert "RepositoryNotFoundError" in refused.stderr
    assert "shows this token no repository org/private" in refused.stderr
    assert passing.mirror.get(PRIVATE).status_code == 401
    rows = passing.mirror.served.catalog.audit.rows(action="version.served")
    assert [row.actor.partition(":")[0] for row in rows] == ["key", "hub"]
    assert not [line for line in passing.mirror.served.said if "hf_alice" in line]


@pytest.mark.parametrize(
    "path", ["/api/models", "/api/whoami-v2", "/api/models/org/other", "/api/datasets/org/private"]
)
def test_a_token_sees_nothing_else(passing: Gated, path: str) -> None:
    answer = passing.mirror.get(path, Authorization="Bearer hf_alice")
    assert answer.status_code in (401, 404), answer.text
    assert "private" not in answer.text.replace("org/private", "")


def test_the_api_knows_no_token_of_a_hub(passing: Gated) -> None:
    assert passing.mirror.served.get("/models", headers={"Authorization": "Bearer hf_alice"}).status_code == 401


def test_guesses_have_to_wait(passing: Gated) -> None:
    before = len(passing.hub.asked(path="/auth-check"))
    ends, found = time.monotonic() + 60, 0
    while found != 429:
        assert time.monotonic() < ends
        found = passing.mirror.get(PRIVATE, Authorization=f"Bearer hf_guess{ends:.0f}{before}").status_code
        before += 1
    assert len(passing.hub.asked(path="/auth-check")) < 60
