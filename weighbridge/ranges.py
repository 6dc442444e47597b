"""Ranges: a large object read in several parts at once and given in order.

One connection to an object store brings a fraction of what the network can. Here the next few windows of an object are
requested side by side, while their bytes come out one after the other. Not here: how a range is asked for (sources).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from threading import Lock
from typing import Protocol

from weighbridge.errors import SourceMisbehaved, SourceUnavailable

#: Bytes of one request; smaller ones cost more processor time, larger ones more memory.
WINDOW = 8 * 1024**2
#: Windows of one object that are on their way or in memory at the same time.
IN_FLIGHT = 4


class Part(Protocol):
    """One range while it is received."""

    @property
    def chunks(self) -> Iterator[bytes]:
        """The range's bytes, in order."""
        ...

    def cancel(self) -> None:
        """Make a read that waits in another thread end soon; called while the range is open only."""
        ...


#: Opens the bytes from its first argument up to, but not including, its second.
OpenRange = Callable[[int, int], AbstractContextManager[Part]]


@contextmanager
def read_in_order(
    open_range: OpenRange, start: int, stop: int, *, window: int = WINDOW, in_flight: int = IN_FLIGHT
) -> Iterator[Iterator[bytes]]:
    """Read the bytes from `start` up to `stop`, several windows at once, and give them in order.

    What arrived before a failure is given before the failure is raised. Leaving the context cancels what is on its way
    and returns when no thread is left. At most `in_flight` windows are in memory.

    Args:
        open_range: opens one range; called from several threads.
        start: offset of the first byte.
        stop: offset behind the last byte.
        window: bytes of one range.
        in_flight: ranges at the same time.

    Raises:
        SourceUnavailable: a range ended early.
        SourceMisbehaved: a range is longer than was asked for; otherwise whatever `open_range` raises.
    """
    starts = iter(range(start, stop, window))
    pending: deque[_Window] = deque()
    pool = ThreadPoolExecutor(in_flight, thread_name_prefix="range")

    def request_next() -> None:
        begin = next(starts, None)
        if begin is not None:
            pending.append(following := _Window(begin, min(begin + window, stop)))
            pool.submit(following.receive, open_range)

    def chunks() -> Iterator[bytes]:
        while pending:
            yield from pending[0].chunks()
            pending.popleft()
            request_next()

    try:
        for _ in range(in_flight):
            request_next()
        yield chunks()
    finally:
        for unread in pending:
            unread.cancel()
        pool.shutdown(wait=True, cancel_futures=True)


class _Window:
    """A range on its way: one thread receives it, another takes its chunks."""

    def __init__(self, start: int, stop: int) -> None:
        self._start, self._stop = start, stop
        self._arrived: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._lock = Lock()
        self._cancelled = False
        self._part: Part | None = None

    def receive(self, open_range: OpenRange) -> None:
        """Receive the range; a failure is kept for the thread that takes the chunks."""
        try:
            self._receive(open_range)
        except BaseException as error:  # noqa: BLE001 (raised by `chunks`, in the reader's thread)
            self._arrived.put(error)
        else:
            self._arrived.put(None)

    def _receive(self, open_range: OpenRange) -> None:
        if self._cancelled:
            return
        missing = self._stop - self._start
        with open_range(self._start, self._stop) as part:
            with self._lock:
                self._part = part
            try:
                # A cancellation from before the part was known has found nothing to cancel.
                for chunk in part.chunks if not self._cancelled else ():
                    missing -= len(chunk)
                    if missing < 0 or self._cancelled:
                        break
                    self._arrived.put(chunk)
            finally:
                with self._lock:
                    self._part = None
        if missing and not self._cancelled:
            self._refuse(missing)

    def _refuse(self, missing: int) -> None:
        facts = {"start": self._start, "stop": self._stop}
        if missing < 0:
            raise SourceMisbehaved(
                f"More bytes were sent than the {self._stop - self._start} that were asked for.",
                "Something on the way changes answers. Nothing of it was kept.",
                **facts,
            )
        raise SourceUnavailable(
            f"A range ended {missing} bytes early.", "Run the same command again: it resumes where it stopped.", **facts
        )

    def chunks(self) -> Iterator[bytes]:
        """Give what arrives, waiting for it; raise what stopped it."""
        while (item := self._arrived.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def cancel(self) -> None:
        """Stop receiving."""
        with self._lock:
            self._cancelled = True
            if self._part is not None:
                self._part.cancel()
