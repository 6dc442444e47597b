"""Retrying: how often and after how long a request to an unreachable or busy source is repeated.

The same value applies to bytes and to other requests, so that a listing gets as many attempts as a file. Unless a
caller says otherwise, only `SourceUnavailable` is retried. Not here: what counts as unavailable for a protocol
(net.responses, net.s3.errors, net.hub.errors, net.git.errors).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import Event
from typing import TypeVar

from weighbridge.errors import Cancelled, SourceUnavailable, WeighbridgeError

T = TypeVar("T")

#: HTTP statuses of transient failures: too many requests or too much traffic (509), a server that is broken or away,
#: and Cloudflare's statuses for the server behind it (520 to 527, 530; 529 is an overloaded site).
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 509, *range(520, 528), 529, 530})


def _is_unavailable(error: WeighbridgeError) -> bool:
    return isinstance(error, SourceUnavailable)


@dataclass(frozen=True)
class Retrying:
    """The number of attempts and the waits between them.

    Attributes:
        attempts: the most consecutive attempts without success.
        first_wait_s: seconds before the second attempt, `growth` times as long before each further one.
        longest_wait_s: the longest wait in seconds; when a server asks for more, the retries end.
        stopped: set to end every wait, in every thread, with `Cancelled`.
        growth: see `first_wait_s`.
    """

    attempts: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    stopped: Event = field(default_factory=Event, compare=False, repr=False)
    growth: int = 2

    def call(self, ask: Callable[[], T], may_pass: Callable[[WeighbridgeError], bool] = _is_unavailable) -> T:
        """Return the result of a call, which is repeated after errors that may pass: while its source is unavailable.

        Raises:
            WeighbridgeError: that of the last attempt; or at once, when the server asks for a longer wait.
            Cancelled: `stopped` was set.
        """
        for failures in count(1):
            try:
                return ask()
            except WeighbridgeError as error:
                if not may_pass(error):
                    raise
                self.wait_after(error, failures)
        raise AssertionError("unreachable")

    def wait_after(self, error: WeighbridgeError, failures: int) -> None:
        """Wait before the next attempt, for the server's `retry_after_s` or longer each time.

        Args:
            error: the error of the last attempt.
            failures: the number of consecutive failed attempts.

        Raises:
            WeighbridgeError: `error`, when these were all attempts, or a lower layer has retried already.
            Cancelled: `stopped` was set.
        """
        wait_s = error.facts.get("retry_after_s")
        if wait_s is None:
            wait_s = min(self.first_wait_s * self.growth ** (failures - 1), self.longest_wait_s)
        if failures >= self.attempts or wait_s > self.longest_wait_s or error.facts.get("attempts"):
            error.facts.setdefault("attempts", failures)
            raise error
        self.pause(wait_s)

    def go_on(self) -> None:
        """Raise Cancelled when `stopped` is set."""
        if self.stopped.is_set():
            raise Cancelled("The transfer was cancelled; the bytes that arrived are kept.")

    def pause(self, wait_s: float) -> None:
        """Wait. Raises Cancelled when `stopped` is set during the wait."""
        if self.stopped.wait(wait_s):
            raise Cancelled("Waiting before another attempt was cancelled.")
