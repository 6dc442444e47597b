"""A real Prefect server with a real worker of its pool, set up and deployed to as deployments/README.md says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
_PREFECT = [sys.executable, "-m", "prefect", "--no-prompt"]


@dataclass
class PrefectServer:
    """A server with one worker.

    Attributes:
        folder: everything that the server, the worker and the runs write.
        environment: of every process.
        url: of the API.
    """

    folder: Path
    environment: Mapping[str, str]
    url: str
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, *arguments: str) -> None:
        """Start a process that runs until `stop`; its output goes to `<name>.log`."""
        with open(self.folder / f"{name}.log", "wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [*_PREFECT, *arguments], cwd=ROOT, env=self.environment, stdout=log, stderr=log, process_group=0
                )
            )

    def run(self, *command: str) -> str:
        """Run a command to its end and return its output."""
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def prefect(self, *arguments: str) -> str:
        """Run a command of Prefect's own."""
        return self.run(*_PREFECT, *arguments)

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send a request to the API, as n8n would."""
        return httpx.request(method, f"{self.url}{path}", json=body, timeout=60)

    def deployment(self, name: str) -> str:
        """Return a deployment's id, by `flow/deployment`."""
        return str(self.request("GET", f"/deployments/name/{name}").raise_for_status().json()["id"])

    def ended(self, run_id: str, timeout_s: float = 120) -> dict[str, Any]:
        """Wait until a run has ended and return it."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            run: dict[str, Any] = self.request("GET", f"/flow_runs/{run_id}").json()
            if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return run
            time.sleep(0.2)
        pytest.fail(f"The run has not ended: {run['state']}; {self.logs()}")

    def wait(self, timeout_s: float = 120) -> None:
        """Wait until the API answers."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.request("GET", "/health").raise_for_status()
                return
            except httpx.HTTPError:
                if self._processes[0].poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"Prefect's server does not start: {self.logs()}")
                time.sleep(0.1)

    def logs(self) -> str:
        """Return what the processes printed."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """Stop the worker, then the server, with what they started."""
        for process in reversed(self._processes):
            for number, patience_s in ((signal.SIGINT, 20), (signal.SIGKILL, 20)):
                try:
                    os.killpg(process.pid, number)
                    process.wait(patience_s)
                except ProcessLookupError:
                    break
                except subprocess.TimeoutExpired:
                    continue
                break


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_prefect(folder: Path, **environment: str) -> Iterator[PrefectServer]:
    """Start a server, set it up, deploy everything, start a worker; stop both at the end.

    Args:
        folder: for everything that is written.
        environment: further variables of the worker and so of the runs.
    """
    port = _free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "WEIGHBRIDGE_"))}
    whole = {
        **kept,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(ROOT),
        **environment,
    }
    server = PrefectServer(folder, whole, whole["PREFECT_API_URL"])
    try:
        server.start("server", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        server.wait()
        server.run(sys.executable, "deployments/setup_prefect.py")
        server.prefect("deploy", "--all")
        server.start("worker", "worker", "start", "--pool", "weighbridge")
        yield server
    finally:
        server.stop()
