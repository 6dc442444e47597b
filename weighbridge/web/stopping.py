"""Stopping: long responses hear that the process was told to stop, so that they end before the server cuts them."""

from __future__ import annotations

import signal
from threading import Event
from types import FrameType


def stop_event() -> Event:
    """Return an event that SIGINT and SIGTERM set, besides what they do already. Call it in the main thread."""
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)

        def told(number: int, frame: FrameType | None, before: object = before) -> None:
            stopping.set()
            if callable(before):
                before(number, frame)

        signal.signal(number, told)
    return stopping
