"""Deadlines: how long a server may take to begin an answer, or to give a small one, however slowly it trickles.

A timeout of a connection begins anew with every byte that comes, so a server that sends a line of its head each second,
or one interim answer after the other, would be listened to for ever. Not here: how fast a file has to come (net.pace).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

#: How many times a connection's timeout a server may take until the head of an answer, or a document, is here.
HEAD_TIMES, DOCUMENT_TIMES = 2, 5
#: When what this thread reads has to be here, in the seconds of `time.monotonic`.
_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """End every read from a server in this context, with httpx's timeout, once the time is up."""
    mark = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(mark)


def obey(request: Any) -> None:
    """Have the connection that a request opens obey `within`; an event hook of a client of httpx, or of httpx2."""
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
