"""The calls that wait for a worker: a limited number, in the order of arrival, those of the same kind together.

Not here: the callers (worker), and the execution (worker_process).
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

#: The most texts of merged calls.
_MAX_TOGETHER = 256


@dataclass(eq=False)
class Call:
    """One call.

    Attributes:
        name: the name of the call.
        arguments: its arguments.
        hears: whether the caller receives pieces of the text.
        joined: the argument whose list may be merged with those of other calls; empty for none.
        shared: what this chat has in common with those that may be computed together with it; empty for none.
        heard: what arrived: `("piece", text)`, `("value", …)` or `("error", …)`.
        begun: whether its execution has begun.
        given_up: set when the caller no longer waits.
        has_text: whether pieces of its text were passed on.
    """

    name: str
    arguments: Mapping[str, Any]
    hears: bool = False
    joined: str = ""
    shared: tuple[Any, ...] = ()
    heard: queue.SimpleQueue[tuple[str, Any]] = field(default_factory=queue.SimpleQueue)
    begun: bool = False
    given_up: threading.Event = field(default_factory=threading.Event)
    has_text: bool = False

    @property
    def size(self) -> int:
        """Return how many texts it has; 1 for a chat."""
        return len(self.arguments[self.joined]) if self.joined else 1

    def fits(self, other: Call) -> bool:
        """Return whether another call can be merged with this one: all but the merged lists is equal.

        Of chats only what they share is.
        """
        if self.shared:
            return self.shared == other.shared
        mine, others = ({**call.arguments, self.joined: None} for call in (self, other))
        return bool(self.joined) and (self.name, self.joined, mine) == (other.name, other.joined, others)

    def hear(self, piece: str) -> None:
        """Give the caller a piece of the text."""
        self.has_text = True
        self.heard.put(("piece", piece))

    def fail(self, error: WeighbridgeError) -> None:
        """Give the caller an error instead of an answer."""
        self.heard.put(("error", copy.copy(error)))  # Each caller raises its own copy.


class Line:
    """A queue of calls; safe for several threads.

    Args:
        name: the model's name, for messages.
        limit: the most waiting calls.
        together: the most chats that are taken together.
    """

    def __init__(self, name: str, limit: int, together: int) -> None:
        self._name, self._limit, self._together = name, limit, together
        self._calls: deque[Call] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Call) -> None:
        """Add a call at the end.

        Raises:
            Busy: the queue is full.
            HandlerError: it is closed.
        """
        with self._changed:
            if self._closed:
                raise closed(self._name)
            if len(self._calls) >= self._limit:
                raise Busy(
                    f"{self._name} is busy: {len(self._calls)} calls wait, and the queue is full.",
                    "Try again later.",
                    waiting=len(self._calls),
                    limit=self._limit,
                )
            self._calls.append(call)
            self._changed.notify()

    def leave(self, call: Call) -> None:
        """Remove a call, if it still waits."""
        with self._changed:
            if call in self._calls:
                self._calls.remove(call)

    def take(self) -> list[Call]:
        """Wait for calls; return the first one, and those that can be merged with it; none when the queue is closed."""
        with self._changed:
            while not self._calls and not self._closed:
                self._changed.wait()
            if not self._calls:
                return []
            first = self._calls.popleft()
            together, size = [first], first.size
            most = _MAX_TOGETHER if first.joined else self._together
            for call in list(self._calls):
                if first.fits(call) and size + call.size <= most:
                    self._calls.remove(call)
                    together.append(call)
                    size += call.size
            return together

    def close(self) -> None:
        """Refuse further calls, and fail the waiting ones."""
        with self._changed:
            self._closed = True
            while self._calls:
                self._calls.popleft().fail(closed(self._name))
            self._changed.notify_all()
