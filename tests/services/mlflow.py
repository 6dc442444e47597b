"""A real MLflow server with basic authentication on a free loopback port, one a test session."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
    """Where the server is and where it keeps its files."""

    uri: str
    folder: Path


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


@pytest.fixture(scope="session")
def mlflow_server() -> Iterator[MLflowServer]:
    """Start a server and yield where it is; it takes 10 to 30 seconds."""
    with tempfile.TemporaryDirectory(prefix="mlflow-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        uri = f"http://127.0.0.1:{(port := _free_port())}"
        server = _start(folder, port)
        try:
            _wait(uri, server, folder / "log")
            yield MLflowServer(uri, folder)
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(30)
