"""Ranges: reads a large object in several parts at once and yields them in order.

One connection to an object store often reaches a fraction of the network's speed; then the next few windows of an
object are requested in parallel, while their bytes are yielded one after the other. Where one connection is fast
enough, it costs the least processor time. Not here: how a range is requested (sources).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from queue import SimpleQueue
from threading import Event, Lock
from typing import Protocol

from weighbridge.errors import SourceMisbehaved, SourceUnavailable
from weighbridge.net.retrying import Retrying

#: Bytes of one request; smaller ones cost more processor time, larger ones more memory.
WINDOW = 8 * 1024**2
#: The most windows in transit or in memory at the same time, of all objects that share them.
IN_FLIGHT = 8
#: The fewest windows of one object: with one alone, nothing would arrive while the next is requested.
_LEAST = 2
#: Bytes per second at which one connection is enough; AWS reaches some 100 million at best.
ENOUGH = 150e6
#: The windows of one request on a connection that is fast enough.
_STRETCH = 16


class Part(Protocol):
    """One range that is being received."""

    @property
    def chunks(self) -> Iterator[bytes]:
        """Return the range's bytes, in order."""
        ...

    def cancel(self) -> None:
        """End a waiting read of another thread soon; called only while the range is open."""
        ...


#: Opens the bytes from its first argument up to, but not including, its second.
OpenRange = Callable[[int, int], AbstractContextManager[Part]]


class Windows:
    """Windows that the objects being read share evenly: a single object gets all of them.

    Args:
        size: bytes of one window.
        in_flight: the windows of all objects together; each object has at least two.
        enough: bytes per second of one connection at which an object is read over one.
        retrying: how often an interrupted window is requested again, from where it stopped.
    """

    def __init__(
        self,
        size: int = WINDOW,
        in_flight: int = IN_FLIGHT,
        enough: float = ENOUGH,
        retrying: Retrying | None = None,
    ) -> None:
        self.size, self.in_flight, self._enough = size, max(in_flight, _LEAST), enough
        self._retrying = retrying or Retrying()
        self._lock = Lock()
        self._readers = 0

    @property
    def share(self) -> int:
        """Return how many of them one object may have now."""
        return max(_LEAST, self.in_flight // max(1, self._readers))

    @contextmanager
    def read(self, open_range: OpenRange, start: int, stop: int) -> Iterator[Iterator[bytes]]:
        """Read the bytes from `start` up to `stop`, several windows at once, and yield them in order.

        An interrupted window is requested again from where it stopped. Bytes that arrived before a failure are yielded
        before the failure is raised. Leaving the context cancels open ranges and returns when no thread is left.

        Args:
            open_range: opens one range; called from several threads.
            start: offset of the first byte.
            stop: offset behind the last byte.

        Raises:
            SourceUnavailable: a range ended early at every attempt.
            SourceMisbehaved: a range is longer than requested; otherwise as `open_range`.
        """
        chunks = self._chunks(open_range, start, stop)
        with self._lock:
            self._readers += 1
        try:
            yield chunks
        finally:
            chunks.close()
            with self._lock:
                self._readers -= 1

    def _chunks(self, open_range: OpenRange, start: int, stop: int) -> Generator[bytes]:
        """Read over one connection for as long as it is fast enough, then over several."""
        speed, stretch = self._enough, self.size
        while start < stop and speed >= self._enough:
            window, waited_s = _Window(start, min(start + stretch, stop)), 0.0
            with open_range(window.start, window.stop) as part:
                chunks, asked = window.take(part), time.monotonic()
                for chunk in chunks:
                    waited_s += time.monotonic() - asked
                    yield chunk
                    asked = time.monotonic()
            speed, start, stretch = (window.stop - start) / (waited_s or 1e-9), window.stop, self.size * _STRETCH
        yield from self._side_by_side(open_range, start, stop)

    def _side_by_side(self, open_range: OpenRange, start: int, stop: int) -> Iterator[bytes]:
        starts = iter(range(start, stop, self.size))
        pending: deque[_Window] = deque()
        pool = ThreadPoolExecutor(self.in_flight, thread_name_prefix="range")

        def request() -> None:
            while len(pending) < self.share and (begin := next(starts, None)) is not None:
                pending.append(window := _Window(begin, min(begin + self.size, stop)))
                pool.submit(window.receive, open_range, self._retrying)

        try:
            request()
            while pending:
                yield from pending[0].chunks()
                pending.popleft()
                request()
        finally:
            for unread in pending:
                unread.cancel()
            pool.shutdown(wait=True, cancel_futures=True)


class _Window:
    """A range in transit: one thread may receive it while another takes its chunks.

    Attributes:
        start: offset of the first missing byte.
        stop: offset behind the last byte.
    """

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self._arrived: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._lock = Lock()
        self._cancelled = Event()
        self._part: Part | None = None

    def receive(self, open_range: OpenRange, retrying: Retrying) -> None:
        """Receive the range; a failure is kept for the thread that takes the chunks."""
        failure: BaseException | None = None
        try:
            self._insist(open_range, retrying)
        except BaseException as error:  # noqa: BLE001 (raised by `chunks`, in the reader's thread)
            failure = error
        self._arrived.put(failure)

    def _insist(self, open_range: OpenRange, retrying: Retrying) -> None:
        fruitless, retrying = 0, replace(retrying, stopped=self._cancelled)
        while True:
            before = self.start
            try:
                return self._receive(open_range)
            except SourceUnavailable as error:
                fruitless = 1 if self.start > before else fruitless + 1
                retrying.wait_after(error, fruitless)

    def _receive(self, open_range: OpenRange) -> None:
        if self._cancelled.is_set():
            return
        with open_range(self.start, self.stop) as part:
            with self._lock:
                self._part = part
            try:
                # A cancellation before the part was open had no effect on it.
                for chunk in self.take(part) if not self._cancelled.is_set() else ():
                    self._arrived.put(chunk)
            finally:
                with self._lock:
                    self._part = None

    def take(self, part: Part) -> Iterator[bytes]:
        """Yield the chunks of a part, which must be the missing bytes; `start` moves with them."""
        for chunk in part.chunks:
            if len(chunk) > self.stop - self.start:
                raise SourceMisbehaved(
                    "The response to a range has more bytes than requested.",
                    "A proxy in between may change responses. None of these bytes were kept.",
                    stop=self.stop,
                )
            self.start += len(chunk)
            yield chunk
            if self._cancelled.is_set():
                return
        if self.start < self.stop:
            raise SourceUnavailable(
                f"A range ended {self.stop - self.start} bytes early.",
                "Run the same command again: it resumes where it stopped.",
                stop=self.stop,
            )

    def chunks(self) -> Iterator[bytes]:
        """Yield chunks as they arrive; raise the error that ended the range."""
        while (item := self._arrived.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def cancel(self) -> None:
        """Stop receiving."""
        with self._lock:
            self._cancelled.set()
            if self._part is not None:
                self._part.cancel()
