"""Flights: work for which several requests wait, done once in a process, in a thread of its own.

A failed one is remembered for a while, so that it is not begun anew by everybody who waited. Not here: one download for
all processes, which the store's locks see to (store.turns).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from threading import Event, Lock, Thread

from weighbridge.errors import BeingWeighed, Cancelled, TooManyAtOnce, WeighbridgeError
from weighbridge.intake.unexpected import foreseen

#: Flights of a process at once; each has up to 3 MB of memory and a connection to a source.
MOST = 24
#: Seconds for which a failure counts, and where it may pass by itself.
FAILED_FOR_S, AWAY_FOR_S = 600.0, 10.0
_MOST_REMEMBERED = 10_000
_log = logging.getLogger(__name__)


class Flight:
    """One piece of work, under way or ended.

    Attributes:
        error: why it failed; None while it is under way, or where it succeeded.
    """

    def __init__(self) -> None:
        self.error: WeighbridgeError | None = None
        self._over, self._forgotten_at = Event(), 0.0

    @property
    def has_ended(self) -> bool:
        """Whether it is over, whatever it came to."""
        return self._over.is_set()

    def ended(self) -> bool:
        """Return `has_ended`."""
        return self.has_ended

    def counts(self, now: float) -> bool:
        """Return whether who asks for the work gets this flight: it is under way, or has failed not long ago."""
        return not self.has_ended or (self.error is not None and now < self._forgotten_at)

    def run(self, work: Callable[[], object], folder: Path) -> None:
        """Do the work; raises nothing."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 (a bug that one request meets ends that request alone)
            self.error = foreseen(error, "read-through", folder)
            self._forgotten_at = time.monotonic() + (AWAY_FOR_S if _may_pass(self.error) else FAILED_FOR_S)
        finally:
            self._over.set()


class Awaiting(BeingWeighed):
    """What was asked for will be there when a flight has ended: ask again then.

    Attributes:
        flight: the flight.
    """

    flight: Flight

    @classmethod
    def of(cls, flight: Flight, name: str) -> Awaiting:
        """Return the error for something of a name that a flight fetches."""
        error = cls(f"{name} is being fetched from its Hub.", "Ask again in some seconds.", name=name, retry_after_s=2)
        error.flight = flight
        return error


class Flights:
    """The flights of a process. Safe for threads.

    Args:
        folder: what errors say of files below it is for the operator alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self._known: dict[Hashable, Flight] = {}

    def join(self, key: Hashable, work: Callable[[], object]) -> Flight:
        """Return the flight of a key; where there is none, begin one with that work.

        Raises:
            TooManyAtOnce: there are too many.
        """
        with self._lock:
            now, known = time.monotonic(), self._known.get(key)
            if known is not None and known.counts(now):
                return known
            self._forget(now)
            if sum(not one.has_ended for one in self._known.values()) >= MOST:
                raise TooManyAtOnce(
                    f"{MOST} files are being fetched from their Hubs already.",
                    "Ask again in some seconds.",
                    retry_after_s=5,
                )
            flight = self._known[key] = Flight()
        Thread(target=flight.run, args=(work, self._folder), name="flight", daemon=True).start()
        return flight

    def failed(self, key: Hashable) -> WeighbridgeError | None:
        """Return why the work of a key failed not long ago; None where it did not."""
        with self._lock:
            known = self._known.get(key)
            return known.error if known is not None and known.counts(time.monotonic()) else None

    def _forget(self, now: float) -> None:
        """Forget flights that do not count any more."""
        for key in [key for key, one in self._known.items() if not one.counts(now)]:
            del self._known[key]
        ended = [key for key, one in self._known.items() if one.has_ended]
        for key in ended[: max(0, len(self._known) - _MOST_REMEMBERED)]:
            del self._known[key]


def _may_pass(error: WeighbridgeError) -> bool:
    return error.retryable or isinstance(error, Cancelled)
