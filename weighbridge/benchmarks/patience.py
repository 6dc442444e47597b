"""Asking a service again: what may pass by itself is waited for, a bounded number of times. Not here: what is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from weighbridge.errors import HandlerError, WeighbridgeError
from weighbridge.net.retrying import Retrying

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience:
    """How long a service is borne with.

    Attributes:
        timeout_s: seconds without a byte after which an answer is given up.
        attempts: of one question at most.
        first_wait_s: before the second of them, four times as long before each further one, unless the service says
            itself how long (Retry-After).
        longest_wait_s: a service that wants more is given up.
    """

    timeout_s: float = 180.0
    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0

    def ask(self, call: Callable[[], Answer], stop: threading.Event) -> Answer:
        """Return what a call returns, calling again after failures that are `transient`.

        Raises:
            HandlerError: the last failure.
            Cancelled: `stop` was set.
        """
        retrying = Retrying(self.attempts, self.first_wait_s, self.longest_wait_s, stopped=stop, growth=4)
        return retrying.call(call, may_pass=_is_transient)


def _is_transient(error: WeighbridgeError) -> bool:
    return isinstance(error, HandlerError) and bool(error.facts.get("transient"))
