"""The mode `gated` where a worker of a real Prefect server takes the models in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.prefect import PrefectServer
from tests.services.weighbridge import serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import Mirrored, mirrored
from weighbridge.domain.clock import utc_now

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]

FILES = {"config.json": b'{"model_type": "llama"}', "model.bin": b"weights by Prefect" * 1000}
#: Seconds within which a client wants a first byte; and a person the model.
PATIENCE_S, MOST_S = 8, 240


@pytest.fixture
def gated(prefect_server: PrefectServer) -> Iterator[tuple[Mirrored, Hub]]:
    """Serve the mirror beside the worker, which reads the same file."""
    home, config = Path(prefect_server.environment["WEIGHBRIDGE_HOME"]), prefect_server.mirror_config
    before, environment = config.read_text(), {**prefect_server.environment, "WEIGHBRIDGE_POLICY": "minimal"}
    with Hub() as hub:
        mine = f"{{base_url: '{hub.url}', names: [mirrored/*], mode: gated}}"
        config.write_text(
            f"backends:\n  - {{type: huggingface, config: {mine}}}\n  - {{type: huggingface, config: {{}}}}\n"
        )
        try:
            with serving(home, environment) as served:
                yield mirrored(served, home), hub
        finally:
            config.write_text(before)


def test_a_client_waits_for_a_run_of_prefect(
    gated: tuple[Mirrored, Hub], prefect_server: PrefectServer, tmp_path: Path
) -> None:
    (mirror, hub), asked_at = gated, utc_now()
    commit = hub.add("mirrored/model", FILES).branches["main"]
    key = mirror.served.key("reader")
    deadline, said = time.monotonic() + MOST_S, set()
    while True:
        began = time.monotonic()
        response = mirror.request("GET", "/mirrored/model/resolve/main/model.bin", headers=key)
        assert time.monotonic() - began < PATIENCE_S
        if response.status_code != 429:
            break
        said.add(response.headers["x-error-message"])
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert time.monotonic() < deadline, said
        time.sleep(0.5)
    assert (response.status_code, response.content) == (200, FILES["model.bin"]), response.text
    assert any("being weighed" in one for one in said)
    assert response.headers["x-repo-commit"] == commit
    code = "from huggingface_hub import snapshot_download\nprint(snapshot_download('mirrored/model'))\n"
    token = key["Authorization"].removeprefix("Bearer ")
    done = mirror.python(code, tmp_path, HF_TOKEN=token)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1])
    assert {path: (folder / path).read_bytes() for path in FILES} == FILES
    job = mirror.served.catalog.jobs.newest_ingest("mirrored/model", since=asked_at)
    assert job is not None
    run = prefect_server.ended(job.run_url.rpartition("/")[2])
    assert (run["state_type"], run["parameters"]["name"]) == ("COMPLETED", "mirrored/model")
    assert len(hub.asked("GET", "/mirrored/model/resolve/")) == len(FILES), "one fetch for all who asked"
