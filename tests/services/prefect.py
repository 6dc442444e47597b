"""Real Prefect servers: one inside the test process; one on a free loopback port with deployments and a worker.

Each starts once a test session. The second is set up as deployments/README.md says, by the same commands, with API
authentication on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.services.clamd import signatures

ROOT = Path(__file__).parents[2]
CREDENTIALS = "weighbridge:api-password-5678"
#: What the worker's environment holds under SOURCE_TOKEN; it must turn up nowhere.
SOURCE_TOKEN = "token-of-the-worker-" + "91b3"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True)
class PrefectServer:
    """A server whose worker takes models into `folder / "home"`.

    Attributes:
        url: the API.
        folder: everything that the server and its worker write.
        environment: what a client of this server needs.
        http: a client as any other program would use one.
    """

    url: str
    folder: Path
    environment: dict[str, str]
    http: httpx.Client

    @property
    def mirror_config(self) -> Path:
        """The mirror's file, which the worker and its runs read; it says nothing until a test writes it anew."""
        return Path(self.environment["WEIGHBRIDGE_MIRROR_CONFIG"])

    def deployment(self, name: str) -> str:
        """Return the id of a deployment, `flow/deployment`."""
        found = self.http.get(f"/deployments/name/{name}")
        found.raise_for_status()
        return str(found.json()["id"])

    def create(self, name: str, parameters: dict[str, Any], **fields: Any) -> httpx.Response:
        """Ask for a run of a deployment."""
        path = f"/deployments/{self.deployment(name)}/create_flow_run"
        asked = {"parameters": parameters, "idempotency_key": str(uuid4()), **fields}
        return self.write(path, asked)

    def write(self, path: str, content: Any) -> httpx.Response:
        """Post what the server has to write; SQLite takes one writer at a time."""
        while (answer := self.http.post(path, json=content)).status_code == 503:
            time.sleep(0.2)
        return answer

    def ended(self, run: str, timeout_s: float = 180) -> dict[str, Any]:
        """Wait until a run has ended and return it."""
        deadline = time.monotonic() + timeout_s
        while True:
            found: dict[str, Any] = self.http.get(f"/flow_runs/{run}").json()
            if found["state_type"] in ENDED:
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"The run is still {found['state_name']}: {self.log('worker')[-3000:]}")
            time.sleep(0.5)

    def artifacts(self, run: str) -> dict[str, Any]:
        """Return the artifacts of a run: `type:key` to what they show."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}}
        found = self.http.post("/artifacts/filter", json=wanted).json()
        return {f"{one['type']}:{one['key']}": one["data"] for one in found}

    def found(self, name: str, timeout_s: float = 60) -> dict[str, Any]:
        """Wait until there is a run of a name and return it."""
        deadline = time.monotonic() + timeout_s
        while True:
            runs = self.http.post("/flow_runs/filter", json={"flow_runs": {"name": {"any_": [name]}}}).json()
            if runs:
                return dict(runs[0])
            if time.monotonic() > deadline:
                pytest.fail(f"There is no run {name}: {self.log('server')[-3000:]}")
            time.sleep(0.5)

    def children(self, run: str) -> dict[str, str]:
        """Return the runs that a run started: name to state."""
        wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}
        return {found["name"]: found["state_name"] for found in self.http.post("/flow_runs/filter", json=wanted).json()}

    def events(self, name: str, resource: str, timeout_s: float = 30) -> list[dict[str, Any]]:
        """Return the events of a name about a resource; they arrive some seconds after what they tell of."""
        occurred = {"since": "2020-01-01T00:00:00Z"}
        wanted = {"event": {"name": [name]}, "resource": {"id": [resource]}, "occurred": occurred}
        deadline = time.monotonic() + timeout_s
        while True:
            found: list[dict[str, Any]] = self.http.post("/events/filter", json={"filter": wanted}).json()["events"]
            if found or time.monotonic() > deadline:
                return found
            time.sleep(0.5)

    def save_block(self, kind: str, name: str, data: dict[str, Any]) -> dict[str, Any]:
        """Save a block as the UI would, and return what the server shows of it."""
        type_id = self.http.get(f"/block_types/slug/{kind}").json()["id"]
        schemas = self.http.post(
            "/block_schemas/filter", json={"block_schemas": {"block_type_id": {"any_": [type_id]}}}
        )
        document = {"name": name, "data": data, "block_type_id": type_id, "block_schema_id": schemas.json()[0]["id"]}
        saved = self.write("/block_documents/", document)
        assert saved.status_code == 201, saved.text
        shown: dict[str, Any] = self.http.get(f"/block_documents/{saved.json()['id']}").json()
        return shown

    def logs(self, run: str, timeout_s: float = 60) -> list[str]:
        """Return what a run logged until its end; the last lines arrive after the state that they name."""
        wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
        deadline = time.monotonic() + timeout_s
        while True:
            lines: list[str] = [line["message"] for line in self.http.post("/logs/filter", json=wanted).json()]
            if [line for line in lines if line.startswith("Finished in state")]:
                return lines
            if time.monotonic() > deadline:
                pytest.fail(f"The run's log has no end: {lines}")
            time.sleep(0.5)

    def log(self, process: str) -> str:
        """Return what `server` or `worker` wrote."""
        return (self.folder / f"{process}.log").read_text()

    def schedule(self, deployment: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Give a deployment a schedule whose first run is due in a few seconds, and the next in an hour."""
        due = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
        wanted = {"active": True, "schedule": {"interval": 3600, "anchor_date": due}, "parameters": parameters}
        made = self.write(f"/deployments/{self.deployment(deployment)}/schedules", [wanted])
        assert made.status_code == 201, made.text
        return dict(made.json()[0])

    def scheduled(self, deployment: str, models: str = "", timeout_s: float = 60) -> list[dict[str, Any]]:
        """Wait until the scheduler has made runs; return those of that models file, or those to come."""
        wanted = {"flow_runs": {"deployment_id": {"any_": [self.deployment(deployment)]}}}
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self.http.post("/flow_runs/filter", json=wanted | {"sort": "EXPECTED_START_TIME_ASC"})
            runs = [run for run in answer.json() if run["auto_scheduled"]]
            asked = [run for run in runs if run["parameters"].get("models") == models]
            to_come = [run for run in runs if run["state_type"] == "SCHEDULED"]
            if asked or (to_come and not models):
                return asked or to_come
            if time.monotonic() > deadline:
                pytest.fail(f"No schedule made a run: {self.log('server')[-3000:]}")
            time.sleep(0.5)

    def errors(self) -> list[str]:
        """Return the records of the server's log that tell of an error.

        Records of "database is locked" are left out: SQLite refuses a second writer at once where both began as
        readers, and on a busy machine that happens to any service of the server, which then does its work again.
        """
        records = re.split(r"^(?=\d\d:\d\d:\d\d\.\d{3} \| )", self.log("server"), flags=re.MULTILINE)
        told = [record for record in records if "| ERROR" in record or "Traceback" in record]
        return [record for record in told if "database is locked" not in record]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of our own or of Prefect's commands against this server, in the repository."""
        ran = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert ran.returncode == 0, f"{command}: {ran.stdout[-2000:]} {ran.stderr[-2000:]}"
        return ran


def prefect(*arguments: str) -> tuple[str, ...]:
    """Return a command of Prefect's."""
    return (sys.executable, "-m", "prefect", *arguments)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(folder: Path, url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "WEIGHBRIDGE_"))}
    mirror = folder / "mirror.yaml"
    mirror.write_text("backends:\n  - type: huggingface\n    config: {}\n")
    return kept | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": CREDENTIALS,
        "PREFECT_SERVER_API_AUTH_STRING": CREDENTIALS,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "DO_NOT_TRACK": "1",
        "PYTHONWARNINGS": "ignore",
        "SOURCE_TOKEN": SOURCE_TOKEN,
        "WEIGHBRIDGE_HOME": str(folder / "home"),
        "WEIGHBRIDGE_POLICY": str(ROOT / "deployments" / "demo" / "policy.yaml"),
        "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(folder / "signatures")),
        "WEIGHBRIDGE_REGISTRIES": '["export"]',
        "WEIGHBRIDGE_MIRROR_CONFIG": str(mirror),
        # What its callers may name: the folders of tests, this machine, and one secret, for one host.
        "WEIGHBRIDGE_FILE_ROOTS": json.dumps([tempfile.gettempdir()]),
        "WEIGHBRIDGE_PRIVATE_NETWORKS": '["127.0.0.1"]',
        "WEIGHBRIDGE_TOKEN_PLACES": '{"SOURCE_TOKEN": ["127.0.0.1"]}',
    }


def _start(stack: ExitStack, command: tuple[str, ...], log: Path, environment: dict[str, str]) -> subprocess.Popen[Any]:
    """Start a process that ends with the stack, with all that it started."""
    with open(log, "wb") as file:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)
    stack.callback(process.wait, 30)
    stack.callback(os.killpg, process.pid, signal.SIGKILL)
    return process


def _wait_for(http: httpx.Client, process: subprocess.Popen[Any], log: Path) -> None:
    deadline = time.monotonic() + 180
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if http.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    pytest.fail(f"The Prefect server does not start: {log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def prefect_harness() -> Iterator[None]:
    """Give flows and blocks of the test process itself a server of their own; it takes 10 seconds."""
    from prefect.testing.utilities import prefect_test_harness  # Seconds to import, for every test run.

    with prefect_test_harness(server_startup_timeout=120):
        yield


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[PrefectServer]:
    """Start a server with nothing on it and yield it; settings override ours, an empty one takes it away."""
    with ExitStack() as stack:
        port = _free_port()
        url = f"http://127.0.0.1:{port}/api"
        environment = {name: value for name, value in (_environment(folder, url) | settings).items() if value}
        user, _, password = CREDENTIALS.partition(":")
        http = stack.enter_context(httpx.Client(base_url=url, auth=(user, password), timeout=120))
        start = prefect("server", "start", "--host", "127.0.0.1", "--port", str(port))
        _wait_for(http, _start(stack, start, folder / "server.log", environment), folder / "server.log")
        yield PrefectServer(url, folder, environment, http)


@contextmanager
def working(folder: Path, **settings: str) -> Iterator[PrefectServer]:
    """Start server and worker, deploy, and yield where they are; it takes 20 to 40 seconds."""
    with serving(folder, **settings) as server, ExitStack() as stack:
        server.run(sys.executable, "deployments/setup_prefect.py")
        log = server.folder / "worker.log"
        _start(stack, prefect("worker", "start", "--pool", "weighbridge"), log, server.environment)
        yield server


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[PrefectServer]:
    """Yield the server of this session."""
    with (
        tempfile.TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True) as folder,
        working(Path(folder)) as server,
    ):
        yield server
