"""Whose turn it is at a model: one call after another, in the order in which they came.

Not here: what is done then (inference).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from weighbridge.handlers.inference import refuse_cancelled

_LOOK_S = 0.05


class Turns:
    """A queue for one model; safe for several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._line: deque[threading.Event] = deque()
        self._busy = False

    @property
    def waiting(self) -> int:
        """How many calls wait; the one that works is none of them."""
        return len(self._line)

    @contextmanager
    def take(self, name: str, event: threading.Event | None) -> Iterator[None]:
        """Wait for a turn and have it until the context ends.

        Args:
            name: of the model, for errors.
            event: ends the waiting.

        Raises:
            Cancelled: the event was set.
        """
        turn = threading.Event()
        with self._guard:
            if self._busy:
                self._line.append(turn)
            else:
                self._busy = True
                turn.set()
        try:
            while not turn.wait(None if event is None else _LOOK_S):
                refuse_cancelled(name, event)
            refuse_cancelled(name, event)
            yield
        finally:
            self._leave(turn)

    def _leave(self, turn: threading.Event) -> None:
        """Give the turn to whoever came next, or the place in the line back."""
        with self._guard:
            if turn in self._line:
                self._line.remove(turn)
            elif self._line:
                self._line.popleft().set()
            else:
                self._busy = False
