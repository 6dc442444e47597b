"""Writing behind: received bytes are gathered and written in separate threads, while the next bytes arrive.

Receiving waits for the network, writing for the kernel, hashing for the processor: one after the other, a large file
takes the time of all three. Not here: what writing and hashing are (store.local).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

#: Bytes that are gathered before they are written; handing over smaller batches costs more than it saves.
BATCH = 1024 * 1024


class WriteBehind:
    """Passes batches of bytes to its writers in order, and gathers the next batch while they write.

    Every call raises a writer's failure until `drop`; later bytes are not written.

    Args:
        writers: called in threads of their own, or in the caller's for less than a batch. All finish a batch before
            the next one begins, and none keeps a reference to it.
    """

    def __init__(self, *writers: Callable[[memoryview], None]) -> None:
        self._writers = writers
        self._pool = ThreadPoolExecutor(len(writers), thread_name_prefix="write")  # Its threads start when needed.
        self._running: list[Future[None]] = []
        self._failure: Exception | None = None
        self._buffers = (bytearray(), bytearray())  # The one that is filled, the one that is written.
        self._filled = 0

    def add(self, chunk: bytes) -> None:
        """Add the next bytes. Raises what a writer raised for earlier ones."""
        self._keeping_failure(lambda: None)
        rest = memoryview(chunk)
        while rest:
            if not self._filled and len(rest) >= BATCH:
                self._hand_over(rest[:BATCH])  # No copy is needed: bytes never change.
                rest = rest[BATCH:]
            else:
                rest = rest[self._gather(rest) :]

    def settle(self) -> None:
        """Write all bytes added. Raises as `add` does."""
        self._wait()
        left, self._filled = memoryview(self._buffers[0])[: self._filled], 0
        if left:
            self._keeping_failure(lambda: [write(left) for write in self._writers])

    def drop(self) -> None:
        """Drop bytes that were not written yet, and any failure."""
        self._filled = 0
        self._end_of_running()
        self._buffers = (bytearray(), bytearray())  # The failure may hold a view of an old one, which cannot grow.
        self._failure = None

    def close(self) -> None:
        """Settle, and end the threads. Raises as `add` does."""
        try:
            self.settle()
        finally:
            self._pool.shutdown()

    def _gather(self, rest: memoryview) -> int:
        """Copy as many bytes as fit into a buffer that grows up to `BATCH`, and return how many those were."""
        taken = rest[: BATCH - self._filled]
        self._buffers[0][self._filled : self._filled + len(taken)] = taken
        self._filled += len(taken)
        if self._filled == BATCH:
            full = memoryview(self._buffers[0])
            self._buffers, self._filled = self._buffers[::-1], 0
            self._hand_over(full)
        return len(taken)

    def _hand_over(self, batch: memoryview) -> None:
        self._wait()
        self._running = [self._pool.submit(write, batch) for write in self._writers]

    def _wait(self) -> None:
        ended = self._end_of_running()
        self._keeping_failure(lambda: [one.result() for one in ended])

    def _end_of_running(self) -> list[Future[None]]:
        """Wait for the running writers and return them; a wait that was interrupted can be repeated."""
        for one in self._running:
            one.exception()
        ended, self._running = self._running, []
        return ended

    def _keeping_failure(self, work: Callable[[], object]) -> None:
        if self._failure is None:
            try:
                work()
            except Exception as error:
                self._failure = error
                raise
        else:
            raise self._failure
