"""Stopping: long responses hear that the process was told to stop, so that they end before the server cuts them.

One of several processes stops, too, when the one that started them is gone.
"""

from __future__ import annotations

import os
import signal
import time
from threading import Event, Thread
from types import FrameType

#: Seconds between two looks at the parent.
_LOOK_S = 1.0


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


def stop_without(parent: int) -> None:
    """Stop this process when its parent, a process id, is gone: killed, it stops nobody, and its port stays in use."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        signal.raise_signal(signal.SIGTERM)

    Thread(target=watch, name="parent", daemon=True).start()
