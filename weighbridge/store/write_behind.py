"""Writing behind: what arrives is gathered and written in threads of its own, while the next bytes arrive.

Receiving waits for the network, writing for the kernel, hashing for the processor: one after the other, a large file
takes the time of all three. Not here: what writing and hashing are (store.local).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

#: Bytes that are gathered before they are written; handing over less costs more than it saves.
BATCH = 1024 * 1024


class WriteBehind:
    """Calls its writers side by side with what it was given, in order: one batch is written, the next is gathered.

    A failure is raised by every call until `drop`: what came after it is not written.

    Args:
        writers: called in threads of their own, or in the caller's for what is less than a batch; none is called with
            a batch before all are done with the last one, and none keeps what it is given.
    """

    def __init__(self, *writers: Callable[[memoryview], None]) -> None:
        self._writers = writers
        self._pool = ThreadPoolExecutor(len(writers), thread_name_prefix="write")  # Its threads start when needed.
        self._running: list[Future[None]] = []
        self._failure: Exception | None = None
        self._buffers = (bytearray(), bytearray())  # The one that is filled, the one that is written.
        self._filled = 0

    def add(self, chunk: bytes) -> None:
        """Take the next bytes. Raises what a writer raised for earlier ones."""
        self._keeping_failure(lambda: None)
        rest = memoryview(chunk)
        while rest:
            if not self._filled and len(rest) >= BATCH:
                self._hand_over(rest[:BATCH])  # As it is: nobody changes it.
                rest = rest[BATCH:]
            else:
                rest = rest[self._gather(rest) :]

    def settle(self) -> None:
        """Write all that was given. Raises as `add` does."""
        self._wait()
        left, self._filled = memoryview(self._buffers[0])[: self._filled], 0
        if left:
            self._keeping_failure(lambda: [write(left) for write in self._writers])

    def drop(self) -> None:
        """Forget what was not written yet, and any failure."""
        self._filled = 0
        self._end_of_running()
        self._buffers = (bytearray(), bytearray())  # A failure may still hold a view of one: it could not grow.
        self._failure = None

    def close(self) -> None:
        """Settle, and end the threads. Raises as `add` does."""
        try:
            self.settle()
        finally:
            self._pool.shutdown()

    def _gather(self, rest: memoryview) -> int:
        """Copy what there is room for, into a buffer that grows up to `BATCH`; return how many bytes that were."""
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
        """Return what ran, once all of it has ended: an interrupted wait can be made again."""
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
