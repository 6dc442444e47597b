"""Benchmarks on a real Prefect server: asked for by an ingest, done by a worker of the pool `gpu`, cancelled there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.handlers import tiny
from tests.services.prefect import ENDED, ROOT, PrefectServer, prefect

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
CARD = b"---\nlicense: apache-2.0\npipeline_tag: text-generation\n---\n# A tiny Llama\n"
BENCHMARK = "benchmark/on-demand"


@pytest.fixture(scope="module")
def gpu_worker(prefect_server: PrefectServer) -> Iterator[psutil.Process]:
    """Start a worker of the pool `gpu`, as deployments/README.md says."""
    with open(prefect_server.folder / "gpu-worker.log", "wb") as log:
        command = prefect("worker", "start", "--pool", "gpu")
        (scratch := prefect_server.folder / "gpu-tmp").mkdir()
        environment = {**prefect_server.environment, "TMPDIR": str(scratch)}
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    yield psutil.Process(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def children(worker: psutil.Process) -> list[psutil.Process]:
    found = []
    for process in worker.children(recursive=True):
        try:
            if "weighbridge.benchmarks.child" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def started(server: PrefectServer, worker: psutil.Process, run: str) -> list[psutil.Process]:
    """Wait until a run's benchmark measures, and return its processes."""
    deadline = time.monotonic() + 300
    while not (found := children(worker)):
        state = server.http.get(f"/flow_runs/{run}").json()["state"]
        waits = state["type"] not in ENDED and time.monotonic() < deadline
        assert waits, f"the benchmark never started: {state}; {server.log('gpu-worker')[-3000:]}"
        time.sleep(0.5)
    return found


@pytest.mark.timeout(900)
def test_what_passed_is_measured_elsewhere_and_a_cancelled_run_leaves_nothing(
    prefect_server: PrefectServer, gpu_worker: psutil.Process, tmp_path: Path
) -> None:
    (tiny.llama(tmp_path / "measured") / "README.md").write_bytes(CARD)
    asked = {"uri": f"file:{tmp_path / 'measured'}", "benchmarks": ["memory"]}
    created = prefect_server.create("ingest/on-demand", asked)
    assert created.status_code == 201, created.text
    assert prefect_server.ended(created.json()["id"])["state_name"] == "Completed"
    run = prefect_server.ended(prefect_server.found("benchmark measured@1.0.0")["id"])
    assert (run["work_pool_name"], run["state_name"]) == ("gpu", "Completed"), run["state"]["message"]
    assert run["state"]["message"] == "1 of 1 measured."
    rows = json.loads(prefect_server.artifacts(run["id"])["table:memory-measured"])
    assert {row["metric"] for row in rows} >= {"weights", "peak_rss"}

    asked = {"name": "measured", "benchmarks": ["inference_latency"], "n": 100_000, "device": "cpu"}
    run_id = prefect_server.create(BENCHMARK, asked).json()["id"]
    found = started(prefect_server, gpu_worker, run_id)
    assert list((prefect_server.folder / "gpu-tmp").glob("**/weighbridge-*"))
    state = {"state": {"type": "CANCELLING"}, "force": False}
    prefect_server.http.post(f"/flow_runs/{run_id}/set_state", json=state).raise_for_status()
    assert prefect_server.ended(run_id)["state_type"] == "CANCELLED"
    _, alive = psutil.wait_procs(found, timeout=30)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    deadline = time.monotonic() + 30
    while left := list((prefect_server.folder / "gpu-tmp").glob("**/weighbridge-*")):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    limits = prefect_server.http.post("/v2/concurrency_limits/filter", json={}).json()
    deadline = time.monotonic() + 30
    while [limit for limit in limits if limit["name"].startswith("cpu:") and limit["active_slots"]]:
        assert time.monotonic() < deadline, "the device is still held"
        time.sleep(0.5)
        limits = prefect_server.http.post("/v2/concurrency_limits/filter", json={}).json()
