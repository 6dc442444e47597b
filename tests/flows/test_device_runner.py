"""What spreads benchmarks: a real local cluster of Dask's, whose workers are told of nothing but the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.test_benchmark import artifacts, children, home, llama_home, run

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_harness"),
]
__all__ = ["home", "llama_home"]


def test_dask_measures_on_several_workers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_TASK_RUNNER", "dask")
    state = run(name="llama", benchmarks=["memory", "embedding_rate"], device="cpu,cpu")
    assert state.name == "Completed", state.message
    assert str(state.message).startswith("1 of 2 measured. embedding_rate of llama: ")
    assert set(artifacts(state)) == {"table:memory-llama", "table:embedding-rate-llama"}
    assert not children()
