"""A real clamd with test signatures, private to one test process."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from weighbridge.scanners.clamd.connection import Address
from weighbridge.scanners.clamd.daemon import Daemon
from weighbridge.scanners.clamd.database import eicar, write_test_only
from weighbridge.system import whole_files

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


def numbered(folder: Path, version: int, *malware: bytes, built_s: int = 1_790_856_000) -> Path:
    """Write a database with a version, which clamd reports, and return its folder.

    It is a `.cud`, as clamd loads `.cvd` and `.cld` only with ClamAV's signature.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"Weighbridge.Test.EICAR:0:*:{eicar().hex()}"]
    lines += [f"Daily.Test-{number}:0:*:{content.hex()}" for number, content in enumerate(malware)]
    signatures, info = "\n".join(lines).encode() + b"\n", io.BytesIO()
    digest = hashlib.sha256(signatures).hexdigest()
    head = f"ClamAV-VDB:01 Oct 2026 12-00 +0000:{version}:{len(lines)}:90:X:X:builder:{built_s}"
    with tarfile.open(fileobj=info, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        listed = f"{head}\ndaily.ndb:{len(signatures)}:{digest}\n".encode()
        for name, content in (("COPYING", b"nothing\n"), ("daily.info", listed), ("daily.ndb", signatures)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    whole_files.write(folder / "daily.cud", head.encode().ljust(512) + info.getvalue())
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


__all__ = ["SMALL_LIMIT", "WHOLE_FILE_MALWARE", "clamd", "eicar", "numbered", "signatures", "small_clamd"]
