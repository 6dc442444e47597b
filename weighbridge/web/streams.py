"""Open event streams: how many a process has for each caller and in all, and a response that counts as one.

Not here: what a stream sends (web.api.ingests).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from threading import Lock

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from weighbridge.errors import TooManyAtOnce

EVENT_STREAM = "text/event-stream"
#: Seconds after which a refused client may try again.
_RETRY_AFTER_S = 10


class OpenStreams:
    """The open streams of one process; safe for threads.

    Args:
        most: streams that may be open at once.
        most_each: those of them that may be one caller's.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._most, self._most_each = most, most_each
        self._open: Counter[str] = Counter()
        self._lock = Lock()

    def open(self, caller: str) -> Callable[[], None]:
        """Count a stream of a caller and return what ends it. Raises TooManyAtOnce."""
        with self._lock:
            if self._open[caller] >= self._most_each:
                raise self._full(f"You watch {self._most_each} jobs at once", "Close a stream first.")
            if self._open.total() >= self._most:
                raise self._full(
                    f"{self._most} streams are open at once", "Try again later, or read the job now and then."
                )
            self._open[caller] += 1
        return lambda: self._close(caller)

    def _close(self, caller: str) -> None:
        with self._lock:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]

    def _full(self, what: str, remedy: str) -> TooManyAtOnce:
        return TooManyAtOnce(f"{what}, and no more are possible.", remedy, retry_after_s=_RETRY_AFTER_S)


class EventStream(StreamingResponse):
    """Server-sent events; calls back when the client has them all, or is gone.

    Args:
        events: the events as they are sent.
        ended: called once at the end.
    """

    media_type = EVENT_STREAM

    def __init__(self, events: AsyncIterator[str], ended: Callable[[], None]) -> None:
        super().__init__(events, headers={"x-accel-buffering": "no"})  # nginx would keep events until it has enough.
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()
