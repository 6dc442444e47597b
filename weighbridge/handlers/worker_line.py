"""The calls that wait for a worker: as many as may wait, in the order in which they came, alike ones together.

Not here: who makes them (worker), and what is done with them (worker_process).
"""

from __future__ import annotations

import copy
import queue
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weighbridge.errors import Busy, WeighbridgeError
from weighbridge.handlers.turns import closed

#: Texts that are worked on together at most.
_MAX_TOGETHER = 256


@dataclass(eq=False)
class Call:
    """One call.

    Attributes:
        name: what is asked for.
        arguments: of it.
        hears: whether whoever asks hears pieces of the text.
        joined: the argument whose list may be joined with those of other calls; empty where none may.
        heard: what came: `("piece", text)`, `("value", …)` or `("error", …)`.
        begun: whether it is worked on, or was.
        given_up: set when nobody waits for more any longer.
    """

    name: str
    arguments: Mapping[str, Any]
    hears: bool = False
    joined: str = ""
    heard: queue.SimpleQueue[tuple[str, Any]] = field(default_factory=queue.SimpleQueue)
    begun: bool = False
    given_up: threading.Event = field(default_factory=threading.Event)

    @property
    def size(self) -> int:
        """How many texts it holds."""
        return len(self.arguments[self.joined])

    def fits(self, other: Call) -> bool:
        """Tell whether another call can be done together with this one: all but the joined lists is the same."""
        mine, others = ({**call.arguments, self.joined: None} for call in (self, other))
        return bool(self.joined) and (self.name, self.joined, mine) == (other.name, other.joined, others)

    def fail(self, error: WeighbridgeError) -> None:
        """Tell whoever waits that there is no answer."""
        self.heard.put(("error", copy.copy(error)))  # Each raises one of its own.


class Line:
    """A queue of calls; safe for several threads.

    Args:
        name: of the model, for errors.
        limit: how many may wait.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name, self._limit = name, limit
        self._calls: deque[Call] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Call) -> None:
        """Put a call at the end.

        Raises:
            Busy: as many wait as may wait.
            HandlerError: it is closed.
        """
        with self._changed:
            if self._closed:
                raise closed(self._name)
            if len(self._calls) >= self._limit:
                raise Busy(
                    f"{self._name} is busy: {len(self._calls)} calls wait, and no more may.",
                    "Ask again later.",
                    waiting=len(self._calls),
                    limit=self._limit,
                )
            self._calls.append(call)
            self._changed.notify()

    def leave(self, call: Call) -> None:
        """Take a call out, if it still waits."""
        with self._changed:
            if call in self._calls:
                self._calls.remove(call)

    def take(self) -> list[Call]:
        """Wait for calls; return the first one, and those that can be done together with it; none when it is closed."""
        with self._changed:
            while not self._calls and not self._closed:
                self._changed.wait()
            if not self._calls:
                return []
            first = self._calls.popleft()
            together, size = [first], first.size if first.joined else _MAX_TOGETHER
            for call in list(self._calls):
                if first.fits(call) and size + call.size <= _MAX_TOGETHER:
                    self._calls.remove(call)
                    together.append(call)
                    size += call.size
            return together

    def close(self) -> None:
        """Let nobody in any more, and tell those who wait."""
        with self._changed:
            self._closed = True
            while self._calls:
                self._calls.popleft().fail(closed(self._name))
            self._changed.notify_all()
