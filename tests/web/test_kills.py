"""The server is killed while imports are in every state: the next one goes on with each, and each ends once."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.services.clamd import signatures
from tests.services.weighbridge import Served, serving
from tests.simulators.web import WebServer

pytestmark = pytest.mark.xdist_group("web")
CONTENT = b"x" * 50_000
#: A job for each state; a fourth one waits.
JOBS_AT_ONCE = 3


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, so that nobody publishes there."""
    folder.mkdir(parents=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def suspended_clamd(served: Served) -> psutil.Process:
    """Stop the clamd of a server in the middle of whatever it does, and return it."""
    (clamd,) = (one for one in psutil.Process(served.process.pid).children(recursive=True) if one.name() == "clamd")
    clamd.suspend()
    return clamd


def order(served: Served, key: dict[str, str], name: str, uri: str) -> str:
    response = served.request("POST", "/models/import", json={"uri": uri, "name": name}, headers=key)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def until(served: Served, job: str, reached: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return the document of a job that has got as far as is wanted."""
    deadline = time.monotonic() + 60
    while not reached(found := served.get(f"/ingests/{job}").json()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return dict(found)


def in_step(name: str, done: int = 0) -> Callable[[dict[str, Any]], bool]:
    """Return a function that returns whether a job is in a step, and has done so much of it."""

    def reached(job: dict[str, Any]) -> bool:
        step = next((one for one in job["steps"] if one["name"] == name), {"state": "waiting"})
        return step["state"] == "running" and step["done"] >= done

    return reached


def test_imports_in_every_state_go_on_after_a_kill(tmp_path: Path) -> None:
    environment = {
        "WEIGHBRIDGE_POLICY": "minimal",
        "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(tmp_path / "signatures")),
        "WEIGHBRIDGE_PRIVATE_NETWORKS": "127.0.0.0/8",
        "WEIGHBRIDGE_SERVE_JOBS": str(JOBS_AT_ONCE),
        "WEIGHBRIDGE_JOB_LEASE_S": "2",
    }
    home, jobs = tmp_path / "home", {}
    with WebServer() as web:
        with serving(home, environment) as served, held(home / "export" / "publishing"):
            key = served.key("publisher")
            for name, faults in {"publishing": {}, "scanning": {}, "fetching": {"trickle_after": 20_000}}.items():
                jobs[name] = order(served, key, name, web.put(f"/{name}.bin", CONTENT + name.encode(), **faults))
                if name == "publishing":
                    until(served, jobs[name], in_step("publish"))
                    clamd = suspended_clamd(served)
                elif name == "scanning":
                    until(served, jobs[name], in_step("scan"))
                else:
                    until(served, jobs[name], in_step("fetch", 20_000))
            jobs["queued"] = order(served, key, "queued", web.put("/queued.bin", CONTENT + b"queued"))
            states = {name: served.get(f"/ingests/{job}").json()["status"] for name, job in jobs.items()}
            assert states == {
                "publishing": "SCANNING",
                "scanning": "SCANNING",
                "fetching": "FETCHING",
                "queued": "PENDING",
            }
            assert served.stop(signal.SIGKILL) == -signal.SIGKILL
            clamd.kill()
        web.put("/fetching.bin", CONTENT + b"fetching")
        with serving(home, environment) as served:
            for name, job in jobs.items():
                ended = until(served, job, lambda found: found["ended_at"])
                assert (ended["status"], ended["version"], ended["error"]) == ("PASSED", "1.0.0", None), name
                assert [one["version"] for one in served.get(f"/models/{name}/versions").json()["items"]] == ["1.0.0"]
                assert (home / "export" / name / "1.0.0" / f"{name}.bin").read_bytes() == CONTENT + name.encode()
                assert served.catalog.jobs.get(job).beginnings == (1 if name == "queued" else 2)
            rows = list(served.catalog.audit.each())
            ends = Counter(str((row.after or {}).get("job")) for row in rows if row.action == "job.done")
            assert ends == dict.fromkeys(jobs.values(), 1)
            assert served.catalog.audit.prove().flaws == ()
