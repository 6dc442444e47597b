"""Interrupts: Ctrl-C and SIGTERM end the process within a second, whatever its threads wait for.

The main thread is interrupted at once, and threads that notice it end their work in order. One that waits for a server
or for clamd does not: when the time is up the process ends without it. What arrived is on the disk by then, as after a
kill, and children end with their parent.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType
from typing import NoReturn

#: Seconds after which a process that was asked to end does.
PATIENCE_S = 0.7
#: The same for one that first tells a Prefect server how its run ended.
PREFECT_PATIENCE_S = 20.0

_patience_s = PATIENCE_S


def be_patient() -> None:
    """Leave a run of Prefect's the time to say how it ended; a second interrupt ends the process all the same."""
    global _patience_s
    _patience_s = PREFECT_PATIENCE_S


@contextmanager
def ending(farewell: Callable[[], None]) -> Iterator[list[int]]:
    """Have SIGINT and SIGTERM end this process; yields the signal that came, once one has. In the main thread, once.

    Args:
        farewell: called before the process ends without its threads: restores the terminal, says what is kept.
    """
    asked: list[int] = []

    def leave(number: int) -> NoReturn:
        farewell()
        sys.stdout.flush()
        os._exit(128 + number)

    def handle(number: int, _frame: FrameType | None) -> None:
        if asked:
            leave(number)
        asked.append(number)
        timer = Timer(_patience_s, leave, (number,))
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        if not asked:  # Otherwise the end is near, and the timer stays for what Python itself waits for.
            for number, handler in before.items():
                signal.signal(number, handler)
