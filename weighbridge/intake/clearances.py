"""Clearances: callers who may have the bytes of a version, remembered for some seconds, as a client asks for each file.

Not here: who may have them (intake.licensing).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from weighbridge.domain.access import Caller
from weighbridge.domain.version import ModelVersion

#: Seconds after which a policy that was changed counts.
LASTS_S = 5.0
_MOST = 10_000


class Clearances:
    """Clearances of one process; each holds until the catalog changes, or `LASTS_S` have passed. Safe for threads.

    Args:
        clock: returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: dict[tuple[str, str, str], tuple[int | None, float]] = {}

    def holds(self, version: ModelVersion, caller: Caller, change: int | None) -> bool:
        """Return whether a caller was cleared for a version; `change` is the number of the catalog's newest change."""
        given, at = self._given.get((caller.actor, version.name, version.version), (None, 0.0))
        return given is not None and given == change and self._clock() - at < LASTS_S

    def add(self, version: ModelVersion, caller: Caller, change: int | None) -> None:
        """Remember that a caller was cleared for a version, when the catalog's newest change had that number."""
        if len(self._given) >= _MOST:
            self._given.clear()
        self._given[caller.actor, version.name, version.version] = (change, self._clock())
