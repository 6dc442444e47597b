"""Counting the requests for versions of a served process, which the catalog learns of now and then, not at each one.

Not here: where they are kept (catalog.uses), and who got what, which the audit log has (intake.recipients).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Lock, Thread

from weighbridge.catalog import Catalog, VersionUse
from weighbridge.errors import CatalogError

#: Seconds between two writes; a process that is killed loses as much.
WRITE_S = 60.0
_log = logging.getLogger(__name__)


class UseCounts:
    """Requests for versions since the last write. Safe for threads.

    Args:
        catalog: learns of them.
        clock: returns the current time.
    """

    def __init__(self, catalog: Catalog, clock: Callable[[], datetime]) -> None:
        self._catalog, self._clock, self._lock = catalog, clock, Lock()
        self._counted: dict[tuple[str, str], tuple[int, datetime]] = {}

    def add(self, name: str, version: str, requests: int = 1) -> None:
        """Count requests for a version, of whatever they ask for; with 0, it is still being given out.

        A client that has the files asks for their tags only, and needs the version as much as another one.
        """
        now = self._clock()
        with self._lock:
            count, _ = self._counted.get((name, version), (0, now))
            self._counted[name, version] = count + requests, now

    def store(self) -> None:
        """Tell the catalog what was counted; where it cannot be told, that is kept for the next time."""
        with self._lock:
            counted, self._counted = self._counted, {}
        if not counted:
            return
        try:
            self._catalog.uses.add(VersionUse(*which, count, at) for which, (count, at) in counted.items())
        except CatalogError as error:
            _log.warning("Requests for versions were not stored: %s", error)
            with self._lock:
                for which, (count, at) in counted.items():
                    more, later = self._counted.get(which, (0, at))
                    self._counted[which] = count + more, later

    @contextmanager
    def stored(self) -> Iterator[None]:
        """Tell the catalog each minute while the block runs, and at its end."""
        ended = Event()
        thread = Thread(target=self._work, args=(ended,), name="uses", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _work(self, ended: Event) -> None:
        while not ended.wait(WRITE_S):
            self.store()
        self.store()
