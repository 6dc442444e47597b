"""Recipients: who is given files of which version, in the audit log before the first byte, for a recall to name them.

A process records a recipient of a version once in a day. Not here: each single transfer, which the server's log has
(web.mirror.transfers).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime
from threading import Lock

from weighbridge.catalog import Catalog
from weighbridge.domain.access import Caller
from weighbridge.domain.version import ModelVersion

#: Recipients that a process remembers; one that it forgot is recorded again.
_MOST = 100_000


class Recipients:
    """The recipients of versions. Safe for threads.

    Args:
        catalog: has the audit log.
        clock: returns the current time.
    """

    def __init__(self, catalog: Catalog, clock: Callable[[], datetime]) -> None:
        self._catalog, self._clock, self._lock = catalog, clock, Lock()
        self._recorded: OrderedDict[tuple[str, str, str, str], date] = OrderedDict()

    def record(self, version: ModelVersion, caller: Caller, address: str) -> None:
        """Record that a caller is given files of a version, at an address: who has no key is known by that alone.

        Raises:
            CatalogError: it cannot be recorded, so nothing may be given out.
        """
        whose = address if caller.kind == "anonymous" else ""
        key, today = (version.name, version.version, caller.actor, whose), self._clock().date()
        if self._recorded.get(key) == today:
            return
        with self._lock:  # Of many requests at once the first one writes.
            if self._recorded.get(key) == today:
                return
            acting = self._catalog.acting(caller.actor)
            acting.record_served(version.name, version.version, version.manifest.digest, address)
            self._recorded[key] = today
            if len(self._recorded) > _MOST:
                self._recorded.popitem(last=False)
