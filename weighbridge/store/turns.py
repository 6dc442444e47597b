"""Turns: one process at a time receives a blob; another one waits, logs that, and gives up when the first one stalls.

Not here: what is received (store.incoming).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from weighbridge.errors import StoreError

_log = logging.getLogger(__name__)
#: Seconds for which a process that holds the lock may receive nothing before it counts as stopped.
PATIENCE_S = 600.0
#: Seconds of waiting after which it is logged.
_SILENT_S = 2.0


@contextmanager
def turn(lock: FileLock, part: Path, patience_s: float | None = None) -> Iterator[None]:
    """Hold the lock of an incoming file; a killed process loses it.

    Args:
        lock: the lock of the file.
        part: the bytes received so far, a file that grows while its process works.
        patience_s: seconds without a change of `part` after which the wait ends; `PATIENCE_S` by default.

    Raises:
        StoreError: another process holds the lock and received nothing for that long.
    """
    patience_s = PATIENCE_S if patience_s is None else patience_s
    seen, since, told = _state(part), time.monotonic(), False
    while True:
        try:
            lock.acquire(timeout=min(_SILENT_S, patience_s))
            break
        except Timeout:
            pass
        if not told:
            _log.warning("Waiting for another process that receives the same file (%s).", part.name[:12])
            told = True
        if (now := _state(part)) != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > patience_s:
            raise StoreError(
                f"Another process has been receiving the same file for {patience_s:.0f} seconds without a byte.",
                f"End it, or let it go on, then run the same command again. Its lock is {lock.lock_file}.",
                path=lock.lock_file,
            )
    try:
        yield
    finally:
        lock.release()


def _state(part: Path) -> tuple[int, int] | None:
    try:
        status = part.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
