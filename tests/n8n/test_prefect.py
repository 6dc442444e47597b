"""The workflows that ask Prefect: a model is taken in, and what passed is measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.test_benchmark_server import CARD, gpu_worker
from tests.handlers import tiny
from tests.n8n.conftest import Stage
from tests.services.clamd import eicar
from tests.services.prefect import PrefectServer, working

__all__ = ["gpu_worker"]
pytestmark = [pytest.mark.n8n, pytest.mark.prefect, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def prefect_server(whole_stage: Stage) -> Iterator[PrefectServer]:
    """Yield a Prefect whose worker has the catalog of the registry."""
    with tempfile.TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True) as folder:
        settings = {"WEIGHBRIDGE_HOME": str(whole_stage.home), "WEIGHBRIDGE_POLICY": "minimal"}
        with working(Path(folder), **settings) as server:
            whole_stage.set(prefect=server.url, benchmarks="memory")
            yield server
            whole_stage.set(prefect="", benchmarks="")


@pytest.fixture
def models() -> Iterator[Path]:
    """Yield a folder that the worker's callers may name."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_model_is_taken_in_by_prefect(stage: Stage, prefect_server: PrefectServer, models: Path) -> None:
    for name in ("good", "bad"):
        (models / name).mkdir()
        (models / name / "config.json").write_text('{"model_type": "llama"}')
        if name == "bad":
            (models / name / "eicar.bin").write_bytes(eicar())
        stage.call("weighbridgeTakeInByPrefect", uri=f"file:{models / name}", name=f"prefect/{name}")
        stage.message(f"{models / name} {'passed' if name == 'good' else 'was not taken in'}", 180)
    assert "Quarantined" in stage.messages()[-1]["text"]


@pytest.mark.usefixtures("gpu_worker")
def test_what_passed_is_measured(stage: Stage, prefect_server: PrefectServer, models: Path) -> None:
    folder = tiny.llama(models / "measured")
    (folder / "README.md").write_bytes(CARD)
    stage.hub.add("org/measured", {one.name: one.read_bytes() for one in folder.iterdir()})
    stage.call("weighbridgeTakeIn", uri="hf:org/measured", asked_by="Ada", approved_by="Grace")
    stage.message("org/measured 1.0.0 passed")
    message = stage.message("org/measured 1.0.0 was measured", 300)
    assert "memory: " in message["text"]
    assert "rank 1" in message["text"]
