"""Retries of requests to a service after transient failures, a limited number of times. Not here: the requests."""

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
    """The limits of retries for one service.

    Attributes:
        timeout_s: seconds without a byte after which a request fails.
        attempts: the most attempts of one request.
        first_wait_s: the wait before the second attempt, four times as long before each further one, unless the service
            sends Retry-After.
        longest_wait_s: the longest wait; when a service asks for more, the retries end.
    """

    timeout_s: float = 180.0
    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0

    def ask(self, call: Callable[[], Answer], stop: threading.Event) -> Answer:
        """Return the result of a call, which is repeated after failures that are `transient`.

        Raises:
            HandlerError: the last failure.
            Cancelled: `stop` was set.
        """
        retrying = Retrying(self.attempts, self.first_wait_s, self.longest_wait_s, stopped=stop, growth=4)
        return retrying.call(call, may_pass=_is_transient)


def _is_transient(error: WeighbridgeError) -> bool:
    return isinstance(error, HandlerError) and bool(error.facts.get("transient"))
