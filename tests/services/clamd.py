"""A real clamd with test signatures, private to one test process."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from weighbridge.scanners.clamd.connection import Address
from weighbridge.scanners.clamd.daemon import Daemon
from weighbridge.scanners.clamd.database import eicar, write_test_only

#: Content that the test signatures know by its digest as a whole file only.
WHOLE_FILE_MALWARE = b"malware known by its digest" * 3
#: Bytes of the largest file that the small clamd takes.
SMALL_LIMIT = 200_000


def signatures(folder: Path) -> Path:
    """Write the test signatures and return their folder."""
    write_test_only(folder)
    digest = hashlib.sha256(WHOLE_FILE_MALWARE).hexdigest()
    (folder / "local.hsb").write_text(f"{digest}:{len(WHOLE_FILE_MALWARE)}:Local.Test.Whole:73\n")
    return folder


@pytest.fixture(scope="session")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Yield a running clamd that knows EICAR."""
    home = tmp_path_factory.mktemp("clamd")
    daemon = Daemon(home, signatures(home / "signatures"), threads=2)
    yield daemon
    daemon.stop()


@pytest.fixture(scope="session")
def small_clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Address]]:
    """Yield a running clamd that takes no more than `SMALL_LIMIT` bytes, and where it listens on TCP."""
    home = tmp_path_factory.mktemp("small-clamd")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    tcp = f"TCPSocket {port}\nTCPAddr 127.0.0.1\n"
    daemon = Daemon(home, signatures(home / "signatures"), 2, SMALL_LIMIT, tcp)
    daemon.connection()
    yield daemon, Address(host="127.0.0.1", port=port)
    daemon.stop()


__all__ = ["SMALL_LIMIT", "WHOLE_FILE_MALWARE", "clamd", "eicar", "signatures", "small_clamd"]
