"""Interrupts: Ctrl-C and SIGTERM end the process within a second, whatever its threads wait for.

The main thread is interrupted at once, and threads that notice it end their work in order. A thread that waits for a
server or for clamd does not notice: when the time is up the process ends without it. Received bytes are on the disk by
then, as after a kill, and children end with their parent.
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

#: Seconds after which an interrupted process ends.
PATIENCE_S = 0.7
#: The same for one that first tells a Prefect server how its run ended.
PREFECT_PATIENCE_S = 20.0

_ENDING = (signal.SIGINT, signal.SIGTERM)
_patience_s = PATIENCE_S


def be_patient(patience_s: float = PREFECT_PATIENCE_S) -> None:
    """Give a Prefect run, or a server, the time to end in order; a second interrupt still ends a run at once."""
    global _patience_s
    _patience_s = patience_s


@contextmanager
def ending(farewell: Callable[[], None]) -> Iterator[list[int]]:
    """Make SIGINT and SIGTERM end this process; the list gets the signal that came. Once, in the main thread.

    Python runs a signal's handler in the main thread, between two instructions. A signal that comes while that thread
    begins to wait for a lock waits as long as the lock does. Therefore the interpreter writes each signal into a pipe
    at once, and a separate thread reads it and ends the process when the time is up.

    Args:
        farewell: called before the process ends without its threads: restores the terminal, prints what is kept.
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
        if not asked:  # After a signal the watch stays, since Python itself may still wait for threads.
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            os.close(told)
