"""Interrupts: Ctrl-C and SIGTERM end the process within a second, whatever its threads wait for.

The main thread is interrupted at once, and threads that notice it end their work in order. One that waits for a server
or for clamd does not: when the time is up the process ends without it. What arrived is on the disk by then, as after a
kill, and children end with their parent.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType
from typing import NoReturn

#: Seconds after which a process that was asked to end does.
PATIENCE_S = 0.7
#: The same for one that first tells a Prefect server how its run ended.
PREFECT_PATIENCE_S = 20.0

_ENDING = (signal.SIGINT, signal.SIGTERM)
_patience_s = PATIENCE_S


def be_patient() -> None:
    """Leave a run of Prefect's the time to say how it ended; a second interrupt ends the process all the same."""
    global _patience_s
    _patience_s = PREFECT_PATIENCE_S


@contextmanager
def ending(farewell: Callable[[], None]) -> Iterator[list[int]]:
    """Have SIGINT and SIGTERM end this process; yields the signal that came, once one has. In the main thread, once.

    Python runs a signal's handler in the main thread, between two instructions. A signal that comes while that thread
    begins to wait for a lock waits as long as the lock does, so a thread of its own hears of signals through a pipe,
    into which the interpreter writes at once, and ends the process when the time is up.

    Args:
        farewell: called before the process ends without its threads: restores the terminal, says what is kept.
    """
    asked: list[int] = []
    heard, told = os.pipe()
    os.set_blocking(told, False)

    def leave(number: int) -> NoReturn:
        farewell()
        sys.stdout.flush()
        os._exit(128 + number)

    def handle(number: int, _frame: FrameType | None) -> None:
        if asked:
            leave(number)
        asked.append(number)
        raise KeyboardInterrupt

    def watch() -> None:
        while came := os.read(heard, 1):
            if came[0] in _ENDING:
                time.sleep(_patience_s)
                leave(came[0])
        os.close(heard)

    before = {number: signal.signal(number, handle) for number in _ENDING}
    wakeup = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    Thread(target=watch, name="interrupts", daemon=True).start()
    try:
        yield asked
    finally:
        if not asked:  # Otherwise the end is near, and the watch stays for what Python itself waits for.
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            os.close(told)
