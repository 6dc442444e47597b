"""Room: whether a clamd has space for unpacked files. Without it, clamd reads only a part of a file and answers OK.

A clamd does not report its folder of temporary files, but it can be sent a zip with one member: the EICAR test file,
followed by as many zeros as it needs space for. A clamd that unpacks it detects it; one without space answers OK. Each
zip has different bytes, as clamd caches clean files. clamd logs it as a detection.
"""

from __future__ import annotations

import io
import secrets
import zipfile
from collections.abc import Callable, Iterator
from threading import Lock

from weighbridge.scanners.clamd.connection import ScanReply
from weighbridge.scanners.clamd.database import eicar

#: Files of fewer bytes need no test of their own: the first one of a run is enough for them.
LARGE = 1024 * 1024
#: The space in bytes that is tested for the first file of a run.
FIRST = 8 * 1024 * 1024
#: The largest tested space in bytes; more would take minutes.
MOST = 1024**3
_CHUNK = bytes(1024 * 1024)


class Room:
    """The tested space of a clamd; safe for several threads.

    Args:
        ask: sends clamd a stream of bytes.
        limit: the bytes of the largest file that it scans whole.
    """

    def __init__(self, ask: Callable[[Iterator[bytes]], ScanReply], limit: int) -> None:
        self._ask, self._limit = ask, limit
        self._lock, self._proven = Lock(), 0

    def before(self, size: int) -> bool:
        """Return whether there is space for a file of so many bytes, from earlier tests of this run or a new one."""
        with self._lock:
            wanted = max(size, FIRST)
            if wanted > self._proven and self._recognises(wanted):
                self._proven = wanted
            return self._proven >= wanted

    def after(self, size: int) -> bool:
        """Return whether there still is space after the scan of a file of so many bytes; a small one needs no test."""
        if size < LARGE:
            return True
        with self._lock:
            there = self._recognises(size)
            if not there:
                self._proven = 0
            return there

    def _recognises(self, size: int) -> bool:
        content = _probe(max(0, min(size, MOST, self._limit) - len(eicar())))
        return self._ask(iter([content])).kind == "found"


def _probe(zeros: int) -> bytes:
    """Return a small zip whose member is the EICAR test file, a unique number, and so many zeros."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("probe.com", "w") as member,
    ):
        member.write(eicar())
        left = zeros - member.write(secrets.token_hex(16).encode())
        while left > 0:
            left -= member.write(_CHUNK[: min(left, len(_CHUNK))])
    return buffer.getvalue()
