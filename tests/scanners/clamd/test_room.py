"""A clamd whose folder of temporary files is too small is not believed. The small disk is a real one."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from weighbridge.domain.digest import Digest
from weighbridge.scanners.clamav import ClamAVScanner
from weighbridge.scanners.clamd.backends import ForeignBackend
from weighbridge.scanners.clamd.connection import Address
from weighbridge.scanners.clamd.daemon import MAX_FILE_SIZE, Daemon
from weighbridge.scanners.clamd.database import eicar
from weighbridge.scanners.interface import Subject

MIB = 1024 * 1024


@contextmanager
def scanner(home: Path, disk: int) -> Iterator[ClamAVScanner]:
    """Yield a scanner with a clamd whose temporary folder is a small disk, or skip where this user may mount none."""
    daemon = Daemon(home, threads=1)
    address = daemon.connection().address
    folder = Path(address.path).parent / "tmp"
    command = ["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        if not mounted:
            pytest.skip("this user may not mount a file system")
        yield ClamAVScanner(ForeignBackend(Address(path=address.path), MAX_FILE_SIZE))
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        daemon.stop()


def mail(folder: Path, attachment: bytes) -> Subject:
    """Return a mail, which only clamd opens."""
    path = folder / "notes.txt"
    lines = ["From: a@b", "To: c@d", "Subject: x", "MIME-Version: 1.0", "Content-Type: application/octet-stream"]
    head = "\r\n".join([*lines, "Content-Transfer-Encoding: base64", "", ""]).encode()
    path.write_bytes(b"From a@b Mon Jan  1 00:00:00 2024\r\n" + head + base64.encodebytes(attachment))
    return Subject(Digest("sha256", "0" * 64), path, path.stat().st_size, "notes.txt", "text")


@pytest.mark.parametrize(("disk", "status"), [(48 * MIB, "completed"), (6 * MIB, "partial")])
def test_what_there_was_no_room_for_is_not_covered(tmp_path: Path, disk: int, status: str) -> None:
    subject = mail(tmp_path, os.urandom(8 * MIB))
    with scanner(tmp_path / "home", disk) as clamav:
        found = clamav.scan(subject)
    assert found.status == status
    assert found.bytes_covered == (subject.size if status == "completed" else 0)
    assert ("room" in found.reason) == (status == "partial")


def test_a_find_is_believed_without_room(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(eicar() + b"\n" * (9 * MIB))
    subject = Subject(Digest("sha256", "0" * 64), path, path.stat().st_size, "notes.txt", "text")
    with scanner(tmp_path / "home", 2 * MIB) as clamav:
        found = clamav.scan(subject)
    assert [finding.rule for finding in found.findings] == ["clamav.signature"]
