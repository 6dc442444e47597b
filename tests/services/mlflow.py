"""A real MLflow server with basic authentication on a free loopback port, one a test session.

Tests that use it carry the mark `xdist_group("mlflow")`, so that one server does for all workers.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

USERNAME = "admin"
PASSWORD = "admin-password-1234"
_SETTINGS = """
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/auth.db
admin_username = {username}
admin_password = {password}
auth_cache_ttl_seconds = 300
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@dataclass(frozen=True)
class MLflowServer:
    """Where the server is and where it keeps its files; and, over its REST API as its administrator, models in it."""

    uri: str
    folder: Path

    @property
    def artifacts(self) -> Path:
        """The folder that holds what the server hands out."""
        return self.folder / "artifacts"

    def call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Ask the administrator's question and return the answer."""
        sent: dict[str, Any] = {"params": content} if method == "GET" else {"json": content}
        url = f"{self.uri}/api/{'3.0' if path.startswith('users/permissions') else '2.0'}/mlflow/{path}"
        answer = httpx.request(method, url, auth=(USERNAME, PASSWORD), timeout=60, **sent)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def add_run(self, files: Mapping[str, bytes]) -> str:
        """Log files below `model/` of a new run and return the run's artifact location."""
        experiment = self.call("POST", "experiments/create", name=uuid.uuid4().hex)["experiment_id"]
        run = self.call("POST", "runs/create", experiment_id=experiment)["run"]["info"]
        location = str(run["artifact_uri"])
        root = location.removeprefix("mlflow-artifacts:/")
        for path, content in files.items():
            url = f"{self.uri}/api/2.0/mlflow-artifacts/artifacts/{root}/model/{quote(path)}"
            httpx.put(url, content=content, auth=(USERNAME, PASSWORD), timeout=60).raise_for_status()
        return location

    def register(self, name: str, source: str) -> str:
        """Register a version of a model, which is made when it is not there, and return the version's number."""
        try:
            self.call("GET", "registered-models/get", name=name)
        except httpx.HTTPStatusError:
            self.call("POST", "registered-models/create", name=name)
        run = re.search("[0-9a-f]{32}", source)  # MLflow wants to be told whose run an artifact is of
        owner = {"run_id": run[0]} if run else {}
        version = self.call("POST", "model-versions/create", name=name, source=source, **owner)["model_version"]
        return str(version["version"])

    def add(self, name: str, files: Mapping[str, bytes]) -> str:
        """Log files and register them as a model's next version; return its number."""
        return self.register(name, f"{self.add_run(files)}/model")

    def file(self, name: str, number: str, path: str) -> Path:
        """The file of a version as the server keeps it."""
        location = self.call("GET", "model-versions/get-download-uri", name=name, version=number)["artifact_uri"]
        return self.artifacts / str(location).removeprefix("mlflow-artifacts:/") / path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    settings = folder / "auth.ini"
    settings.write_text(_SETTINGS.format(folder=folder, username=USERNAME, password=PASSWORD))
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "only-for-tests",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--app-name", "basic-auth"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"]
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)


def _wait(uri: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            if httpx.get(f"{uri}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"The MLflow server does not start (pip install 'mlflow[auth]'): {log.read_text()[-3000:]}")
        time.sleep(0.2)


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[MLflowServer]:
    """Start a server that keeps everything below a folder, and stop it at the end; it takes 10 to 30 seconds."""
    port = port or _free_port()
    uri = f"http://127.0.0.1:{port}"
    server = _start(folder, port)
    try:
        _wait(uri, server, folder / "log")
        yield MLflowServer(uri, folder)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)


@pytest.fixture(scope="session")
def mlflow_server() -> Iterator[MLflowServer]:
    """Yield a server of this session."""
    with (
        tempfile.TemporaryDirectory(prefix="mlflow-", ignore_cleanup_errors=True) as folder,
        serving(Path(folder)) as server,
    ):
        yield server
