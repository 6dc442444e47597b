"""Deadlines: the time within which a server has to begin its response, or to send a small one whole.

A connection's timeout starts again with every byte, so a client would wait for ever for a server that sends one header
line a second, or one interim response after another. Not here: the least speed of a file (net.pace).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

#: How many times a connection's timeout a server may take to send the headers of a response, or a document.
HEAD_TIMES, DOCUMENT_TIMES = 2, 5
#: The deadline of what this thread reads, in the seconds of `time.monotonic`.
_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """End every read from a server in this context with httpx's timeout after the given seconds."""
    mark = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(mark)


def left_s() -> float | None:
    """Return the seconds that the innermost `within` leaves; None outside of any."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


def has_passed() -> bool:
    """Return whether the time of the innermost `within` is over."""
    return left_s() == 0.0


def obey(request: Any) -> None:
    """Apply `within` to the connection that a request opens; an event hook of a client of httpx, or of httpx2."""
    request.extensions["trace"] = _limit


def _limit(event: str, facts: Mapping[str, Any]) -> None:
    if event.endswith(("connect_tcp.complete", "start_tls.complete")):
        stream = facts["return_value"]
        library = import_module(type(stream).__module__.partition(".")[0])
        stream.read = _limited(stream.read, library.ReadTimeout)


def _limited(read: Callable[..., bytes], late: type[Exception]) -> Callable[..., bytes]:
    def limited(max_bytes: int, timeout: float | None = None) -> bytes:
        ends_at = _ends_at.get()
        if ends_at is None:
            return read(max_bytes, timeout=timeout)
        left = ends_at - time.monotonic()
        if left <= 0:
            raise late("It took too long.")
        return read(max_bytes, timeout=left if timeout is None else min(timeout, left))

    return limited
