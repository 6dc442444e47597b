"""Recipients: who is given files of which version, in the audit log before the first byte, for a recall to name them.

A process records a recipient of a version once in a day. Not here: each single transfer, which the server's log has
(web.mirror.transfers).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime
from threading import Lock

from weighbridge.catalog import Catalog, Transit
from weighbridge.domain.access import Caller
from weighbridge.domain.version import ModelVersion

#: Recipients that a process remembers; one that it forgot is recorded again.
_MOST = 100_000
#: Seconds within which another request for a file that has no verdict yet is not recorded again.
_HANDED_ON_S = 30.0


class Recipients:
    """The recipients of versions. Safe for threads.

    Args:
        catalog: has the audit log.
        clock: returns the current time.
    """

    def __init__(self, catalog: Catalog, clock: Callable[[], datetime]) -> None:
        self._catalog, self._clock, self._lock = catalog, clock, Lock()
        self._recorded: OrderedDict[tuple[str, str, str, str], date] = OrderedDict()
        self._handed_on: OrderedDict[tuple[int, str, str, str], float] = OrderedDict()

    def knows(self, version: ModelVersion, caller: Caller, address: str) -> bool:
        """Return whether a caller at an address is recorded for today."""
        return self._recorded.get(self._key(version, caller, address)) == self._clock().date()

    def _key(self, version: ModelVersion, caller: Caller, address: str) -> tuple[str, str, str, str]:
        return version.name, version.version, caller.actor, address if caller.kind == "anonymous" else ""

    def record(self, version: ModelVersion, caller: Caller, address: str) -> None:
        """Record that a caller is given files of a version, at an address: who has no key is known by that alone.

        Raises:
            CatalogError: it cannot be recorded, so nothing may be given out.
        """
        if self.knows(version, caller, address):
            return
        key, today = self._key(version, caller, address), self._clock().date()
        with self._lock:  # Of many requests at once the first one writes.
            if self._recorded.get(key) == today:
                return
            acting = self._catalog.acting(caller.actor)
            acting.record_served(version.name, version.version, version.manifest.digest, address)
            self._recorded[key] = today
            if len(self._recorded) > _MOST:
                self._recorded.popitem(last=False)

    def hand_on(self, transit: Transit, path: str, caller: Caller, address: str) -> None:
        """Record that a caller is given a file before its verdict, at an address.

        Raises:
            CatalogError: it cannot be recorded, so nothing may be given out.
        """
        whose = address if caller.kind == "anonymous" else ""
        key = (transit.id, path, caller.actor, whose)
        with self._lock:  # Of many requests at once the first one writes.
            now = time.monotonic()
            if transit.used_at is not None and now - self._handed_on.get(key, -_HANDED_ON_S) < _HANDED_ON_S:
                return
            self._catalog.transits.hand_on(transit.id, path, caller.actor, address)
            self._handed_on[key] = now
            self._handed_on.move_to_end(key)
            if len(self._handed_on) > _MOST:
                self._handed_on.popitem(last=False)
