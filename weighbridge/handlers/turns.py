"""The queue of calls of a model: one runs at a time, in the order of arrival, until the model is closed.

Not here: the calls themselves (inference).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from weighbridge.errors import HandlerError
from weighbridge.handlers.inference import refuse_cancelled

_LOOK_S = 0.05


def closed(name: str) -> HandlerError:
    """Return the error for a closed model."""
    return HandlerError(f"{name} is closed, and its memory is released.", "Load it again.")


class Turns:
    """A queue for one model; safe for several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._line: deque[threading.Event] = deque()
        self._busy = False
        self.closed = False

    @property
    def waiting(self) -> int:
        """Return how many calls wait, without the running one."""
        return len(self._line)

    @contextmanager
    def take(self, name: str, event: threading.Event | None) -> Iterator[None]:
        """Wait for a turn and hold it for the context.

        Args:
            name: of the model, for errors.
            event: ends the wait.

        Raises:
            Cancelled: the event was set.
            HandlerError: the model is closed.
        """
        with self._turn(name, event):
            refuse_cancelled(name, event)
            if self.closed:
                raise closed(name)
            yield

    def close(self) -> bool:
        """Wait for the running call, and refuse all others; return whether the queue was open."""
        with self._turn("", None, first=True):
            before, self.closed = self.closed, True
        return not before

    @contextmanager
    def _turn(self, name: str, event: threading.Event | None, *, first: bool = False) -> Iterator[None]:
        turn = threading.Event()
        with self._guard:
            if self._busy:
                (self._line.appendleft if first else self._line.append)(turn)
            else:
                self._busy = True
                turn.set()
        try:
            while not turn.wait(None if event is None else _LOOK_S):
                refuse_cancelled(name, event)
            yield
        finally:
            self._leave(turn)

    def _leave(self, turn: threading.Event) -> None:
        """Pass the turn to the next call, or leave the queue."""
        with self._guard:
            if turn in self._line:
                self._line.remove(turn)
            elif self._line:
                self._line.popleft().set()
            else:
                self._busy = False
