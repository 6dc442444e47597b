"""Retrying: how often and after how long a source that is out of reach or busy is asked again.

One value for bytes and for questions, so that a listing is given up no sooner than a file. Only `SourceUnavailable` is
tried again. Not here: what counts as unavailable for a protocol (net.responses, net.s3.errors, net.hub.errors,
net.git.errors).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import Event
from typing import TypeVar

from weighbridge.errors import Cancelled, SourceUnavailable

T = TypeVar("T")

#: HTTP statuses of failures that may pass: too many requests or too much traffic (509), a server that is broken or
#: away, and what Cloudflare says of the server behind it (520 to 527, 530; 529 is an overloaded site).
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 509, *range(520, 528), 529, 530})


@dataclass(frozen=True)
class Retrying:
    """When a source is asked again.

    Attributes:
        attempts: how often one thing is asked for in a row without success.
        first_wait_s: seconds before the second attempt, doubled before each further one.
        longest_wait_s: seconds that are waited at most; a server that asks for more is not waited for.
        stopped: set to end every wait, in whatever thread, with `Cancelled`.
    """

    attempts: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    stopped: Event = field(default_factory=Event, compare=False, repr=False)

    def call(self, ask: Callable[[], T]) -> T:
        """Return what a question gives, asked again while its source is unavailable.

        Raises:
            SourceUnavailable: of the last attempt; or at once, when the server wants a longer wait.
            Cancelled: `stopped` was set.
        """
        for failures in count(1):
            try:
                return ask()
            except SourceUnavailable as error:
                self.wait_after(error, failures)
        raise AssertionError("unreachable")

    def wait_after(self, error: SourceUnavailable, failures: int) -> None:
        """Wait before the next attempt, as long as the server asked for (`retry_after_s`) or longer each time.

        Args:
            error: what the last attempt ended with.
            failures: attempts in a row that failed.

        Raises:
            SourceUnavailable: `error`, when these were enough, or were already tried again below.
            Cancelled: `stopped` was set.
        """
        wait_s = error.facts.get("retry_after_s")
        if wait_s is None:
            wait_s = min(self.first_wait_s * 2 ** (failures - 1), self.longest_wait_s)
        if failures >= self.attempts or wait_s > self.longest_wait_s or error.facts.get("attempts"):
            error.facts.setdefault("attempts", failures)
            raise error
        self.pause(wait_s)

    def go_on(self) -> None:
        """Raise Cancelled when `stopped` is set."""
        if self.stopped.is_set():
            raise Cancelled("It was cancelled; what arrived is kept.")

    def pause(self, wait_s: float) -> None:
        """Wait. Raises Cancelled when `stopped` is set meanwhile."""
        if self.stopped.wait(wait_s):
            raise Cancelled("Waiting for a source was cancelled.")
