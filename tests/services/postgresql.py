"""A real PostgreSQL server on a free loopback port, one a test session, and an empty database for each test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

_INSTALL = "PostgreSQL's server is not installed: apt-get install -y --no-install-recommends postgresql"


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    if not found and not on_path:
        pytest.fail(_INSTALL)
    return found[-1].parent if found else Path(str(on_path)).parent


def _unprivileged() -> list[str]:
    """Return the prefix of a command that must not run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make(folder: Path) -> None:
    folder.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    initdb = [_binaries() / "initdb", "-D", folder / "data", "-U", "weighbridge", "-A", "trust", "-E", "UTF8", "-N"]
    subprocess.run([*_unprivileged(), *initdb], check=True, capture_output=True, cwd=folder)


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [*_unprivileged(), _binaries() / "postgres", "-D", folder / "data"]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "16MB",
        "max_connections": "50",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with open(folder / "log", "ab") as log:
        return subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd=folder)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    engine = create_engine(url)
    deadline = time.monotonic() + 60
    while True:
        try:
            with engine.connect():
                break
        except OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start: {log.read_text()}")
            time.sleep(0.05)
    engine.dispose()


class PostgreSQL:
    """A server of its own, which can be stopped and started again.

    Attributes:
        url: of its maintenance database.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, _free_port()
        self.url = f"postgresql+psycopg://weighbridge@127.0.0.1:{self._port}/postgres"
        _make(folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._server = _start(self._folder, self._port)
        _wait(self.url, self._server, self._folder / "log")

    def stop(self) -> None:
        """Cut its connections and stop it, in the middle of whatever it does."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait(30)


@contextmanager
def serving() -> Iterator[PostgreSQL]:
    """Yield a server that an unprivileged user runs."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        server = PostgreSQL(Path(name))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Yield the URL of the maintenance database of a server of this session."""
    with serving() as server:
        yield server.url


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """Yield the URL of an empty database of a server, which is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.rsplit("/", 1)[0] + f"/{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """Yield the URL of an empty database."""
    with empty_database(postgresql_server) as url:
        yield url
