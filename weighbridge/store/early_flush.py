"""Early flushing: the bytes of a growing file go to the disk while more of them arrive.

Without it a large file waits for the disk after its last byte: a third of the time in which a gibibyte was written on
the machine where this was measured. Not here: when a file counts as complete (store.local).
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor

#: Bytes between two flushes; smaller ones make more work for a disk than they save.
STEP = 64 * 1024 * 1024


class EarlyFlush:
    """Flushes one open file in a thread of its own, one flush at a time; the last one is left to `os.fsync`.

    Args:
        descriptor: of the file; it stays open until `finish` has returned.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="flush")  # Starts its thread at the first flush.
        self._running: Future[None] | None = None
        self._asked_at = 0

    def reached(self, offset: int) -> None:
        """Note how many bytes the file has, and start a flush unless one is running.

        Raises:
            OSError: an earlier flush failed. The system reports that only once per descriptor, so no later flush would.
        """
        if offset - self._asked_at < STEP or (self._running is not None and not self._running.done()):
            return
        self._settle()
        self._running, self._asked_at = self._pool.submit(os.fdatasync, self._descriptor), offset

    def finish(self) -> None:
        """Wait for the running flush. Raises OSError when it failed."""
        self._pool.shutdown()
        self._settle()

    def _settle(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()
