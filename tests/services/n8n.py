"""A real n8n with a home of its own, which takes workflows in, publishes and runs them, and reaches this machine alone.

`make test-n8n` installs it below `.venv/n8n`. Not here: what the workflows are tried with (tests.n8n.conftest).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

#: Where `make test-n8n` installs it; another folder by WEIGHBRIDGE_TEST_N8N.
HOME = Path(os.environ.get("WEIGHBRIDGE_TEST_N8N", Path(sys.prefix) / "n8n"))
#: What keeps it from asking n8n's own servers.
_QUIET = {
    **dict.fromkeys(
        (
            *("DIAGNOSTICS_ENABLED", "VERSION_NOTIFICATIONS_ENABLED", "VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED"),
            *("TEMPLATES_ENABLED", "PERSONALIZATION_ENABLED", "HIRING_BANNER_ENABLED", "COMMUNITY_PACKAGES_ENABLED"),
            *("DYNAMIC_BANNERS_ENABLED", "LICENSE_AUTO_RENEW_ENABLED", "AI_ENABLED", "PYTHON_ENABLED", "SECURE_COOKIE"),
        ),
        "false",
    ),
    "DISABLED_MODULES": "mcp-registry,mcp,chat-hub,instance-ai,community-packages,insights,quick-connect",
    "DIAGNOSTICS_CONFIG_FRONTEND": "",
    "DIAGNOSTICS_CONFIG_BACKEND": "",
}
OWNER = {"email": "owner@example.com", "firstName": "Ada", "lastName": "Owner", "password": "Password-of-tests-1"}
#: The states of an execution that goes on by itself; one that waits does nothing until it is called.
_GOES_ON = ("new", "running")


@dataclass(frozen=True)
class Execution:
    """A run of a workflow.

    Attributes:
        id: as n8n counts them.
        workflow: the workflow's id.
        status: success, error, waiting, running, crashed, canceled.
    """

    id: int
    workflow: str
    status: str


@dataclass
class N8n:
    """A served n8n.

    Attributes:
        folder: everything that it writes.
        port: of the editor, forms and webhooks.
        environment: its settings.
        http: a client, which is the owner's once `log_in` was called.
        process: the one that serves; None while it is stopped.
    """

    folder: Path
    port: int
    environment: dict[str, str]
    http: httpx.Client
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str) -> str:
        """Run one of its commands and return what it printed."""
        done = subprocess.run(
            [str(HOME / "node_modules" / ".bin" / "n8n"), *arguments],
            env=self.environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout[-3000:]} {done.stderr[-3000:]}"
        return done.stdout

    def take_credentials(self, credentials: Sequence[dict[str, Any]]) -> None:
        """Store credentials, as n8n's own command does: their ids are kept."""
        file = self.folder / "credentials.json"
        file.write_text(json.dumps(credentials))
        file.chmod(0o600)
        self.run("import:credentials", f"--input={file}")
        file.unlink()

    def start(self) -> None:
        """Serve until `stop`, and return once it answers."""
        with (self.folder / "n8n.log").open("ab") as log:
            command = [str(HOME / "node_modules" / ".bin" / "n8n"), "start"]
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )
        deadline = time.monotonic() + 600
        while not self._is_ready():
            assert self.process.poll() is None, self.log()[-4000:]
            assert time.monotonic() < deadline, self.log()[-4000:]
            time.sleep(0.3)

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/healthz/readiness").status_code == 200 and self.http.get("/rest/settings").is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Stop it, with all that it started."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)  # The wheel's `node` is a program that starts Node.js.
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.process = None

    def log(self) -> str:
        """Return what it has written."""
        return (self.folder / "n8n.log").read_text()

    def log_in(self) -> None:
        """Become the owner, whom the first call makes."""
        if self.http.post("/rest/owner/setup", json=OWNER).is_success:
            return
        given = {"emailOrLdapLoginId": OWNER["email"], "password": OWNER["password"]}
        self.http.post("/rest/login", json=given).raise_for_status()

    def workflow(self, id_: str) -> dict[str, Any]:
        """Return a workflow as it is stored."""
        found: dict[str, Any] = self.http.get(f"/rest/workflows/{id_}").raise_for_status().json()["data"]
        return found

    def publish(self, id_: str) -> None:
        """Publish a workflow: its triggers work, and others can call it."""
        version = self.workflow(id_)["versionId"]
        answer = self.http.post(f"/rest/workflows/{id_}/activate", json={"versionId": version})
        assert answer.is_success, answer.text

    def executions(self, workflow: str = "") -> list[Execution]:
        """Return the runs of a workflow, or of all, the oldest first."""
        with closing(sqlite3.connect(f"file:{self.folder}/.n8n/database.sqlite?mode=ro", uri=True, timeout=30)) as base:
            rows = base.execute("SELECT id, workflowId, status FROM execution_entity ORDER BY id").fetchall()
        return [Execution(*row) for row in rows if workflow in ("", row[1])]

    def execution(self, id_: int) -> dict[str, Any]:
        """Return all that is stored of a run, as its text: n8n writes it in a form of its own."""
        found: dict[str, Any] = self.http.get(f"/rest/executions/{id_}").raise_for_status().json()["data"]
        return found

    def until(self, enough: Callable[[list[Execution]], Any], workflow: str = "", timeout_s: float = 240) -> Any:
        """Return the first true answer of a function to the runs."""
        deadline = time.monotonic() + timeout_s
        while not (found := enough(self.executions(workflow))):
            assert time.monotonic() < deadline, f"{self.executions(workflow)} {self.log()[-2000:]}"
            time.sleep(0.2)
        return found

    def settled(self, timeout_s: float = 240) -> list[Execution]:
        """Wait until nothing runs any more, and return all runs."""

        def look(all_: list[Execution]) -> list[Execution]:
            return [] if any(one.status in _GOES_ON for one in all_) else all_

        found: list[Execution] = self.until(look, timeout_s=timeout_s)
        return found


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def n8n(folder: Path, proxy: str = "") -> Iterator[N8n]:
    """Yield an n8n that is not started yet; `proxy` is asked for every other machine."""
    port, broker = free_port(), free_port()
    kept = {name: os.environ[name] for name in ("LANG", "HOME", "TMPDIR") if name in os.environ}
    environment = {
        **kept,
        "PATH": f"{HOME}/bin:{os.environ['PATH']}",
        **{f"N8N_{name}": value for name, value in _QUIET.items()},
        "N8N_USER_FOLDER": str(folder),
        "N8N_ENCRYPTION_KEY": "key-of-the-tests",
        "N8N_PORT": str(port),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_RUNNERS_BROKER_PORT": str(broker),
        "N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS": "true",
        "WEBHOOK_URL": f"http://127.0.0.1:{port}/",
        "DB_TYPE": "sqlite",
        "GENERIC_TIMEZONE": "UTC",
        "EXTERNAL_FRONTEND_HOOKS_URLS": "",
        **({"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost"} if proxy else {}),
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
        served = N8n(folder, port, environment, http)
        try:
            yield served
        finally:
            served.stop()
