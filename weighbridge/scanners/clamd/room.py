"""Room: whether a clamd has space for what it unpacks. Where it has none it sees a part of a file and answers OK.

Nobody can ask a clamd for its folder of temporary files, but it can be shown a zip with one member: the EICAR test file
followed by as many zeros as there has to be room for. A clamd that unpacks it recognises it; one that has no room says
OK. Each one holds other bytes, since clamd remembers what it found clean. It is logged by clamd as a find.
"""

from __future__ import annotations

import io
import secrets
import zipfile
from collections.abc import Callable, Iterator
from threading import Lock

from weighbridge.scanners.clamd.connection import ScanReply
from weighbridge.scanners.clamd.database import eicar

#: Files of fewer bytes than this need no room of their own: what is proven before the first one is enough for them.
LARGE = 1024 * 1024
#: Bytes of room that the first file of a run needs.
FIRST = 8 * 1024 * 1024
#: Bytes of room that are proven at most; more would take minutes.
MOST = 1024**3
_CHUNK = bytes(1024 * 1024)


class Room:
    """What a clamd proved to have room for. Safe for threads.

    Args:
        ask: shows clamd a stream of bytes.
        limit: bytes of the largest file that it takes whole.
    """

    def __init__(self, ask: Callable[[Iterator[bytes]], ScanReply], limit: int) -> None:
        self._ask, self._limit = ask, limit
        self._lock, self._proven = Lock(), 0

    def before(self, size: int) -> bool:
        """Whether there is room for a file of so many bytes; what was proven in this run counts."""
        with self._lock:
            wanted = max(size, FIRST)
            if wanted > self._proven and self._recognises(wanted):
                self._proven = wanted
            return self._proven >= wanted

    def after(self, size: int) -> bool:
        """Whether there still is room, once a file of so many bytes was scanned; a small one asks nothing."""
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
    """Return a small zip whose member is the EICAR test file, a number of its own, and as many zeros."""
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
