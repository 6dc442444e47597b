"""What spreads benchmarks: a real local cluster, whose workers are told of nothing but the server.

`make test` installs Dask; Ray, a quarter of a gigabyte, is tested where `pip install -e .[ray]` was run before.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.flows.test_benchmark import artifacts, children, home, llama_home, run

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_harness"),
]
__all__ = ["home", "llama_home"]


_RAY = pytest.mark.skipif(find_spec("prefect_ray") is None, reason="Ray is not installed: pip install -e .[ray]")


@pytest.mark.parametrize("cluster", ["dask", pytest.param("ray", marks=_RAY)])
def test_a_cluster_measures_on_several_workers(home: Path, monkeypatch: pytest.MonkeyPatch, cluster: str) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_TASK_RUNNER", cluster)
    state = run(name="llama", benchmarks=["memory", "lm_eval"], tasks=["of_none"], device="cpu,cpu")
    assert state.name == "Completed", state.message
    assert str(state.message).startswith("1 of 2 measured. lm_eval of llama: ")
    assert set(artifacts(state)) == {"table:memory-llama", "table:lm-eval-llama"}
    assert not children()
