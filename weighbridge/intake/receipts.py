"""Counting the transfers of files of a served process, which the catalog learns of every few seconds.

Not here: where they are kept (catalog.receipts), and that somebody is given files of a version, which is in the audit
log before the first byte (intake.recipients).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Lock, Thread

from weighbridge.catalog import Catalog
from weighbridge.domain.receipts import Receipt
from weighbridge.errors import CatalogError

#: Seconds between two writes; a process that is killed loses as much.
WRITE_S = 5.0
#: Receipts in memory while the catalog cannot be told of them; further ones are dropped.
_MOST = 200_000
_log = logging.getLogger(__name__)


class ReceiptCounts:
    """Transfers that ended since the last write. Safe for threads.

    Args:
        catalog: learns of them.
        clock: returns the current time.
    """

    def __init__(self, catalog: Catalog, clock: Callable[[], datetime]) -> None:
        self._catalog, self._clock, self._lock = catalog, clock, Lock()
        self._counted: dict[tuple[str, ...], Receipt] = {}

    def add(self, which: tuple[str, str], who: tuple[str, str], path: str, size: int, *, whole: bool) -> None:
        """Count a transfer that ended.

        Args:
            which: the model's name and the version's number.
            who: the actor and the address.
            path: of the file.
            size: bytes that were sent.
            whole: whether that is all of the file.
        """
        if not size:
            return
        now = self._clock()
        self._add(Receipt(*which, *who, path, now, now, 1, int(whole), size))

    def _add(self, receipt: Receipt) -> None:
        with self._lock:
            known = self._counted.get(receipt.key)
            if known is not None or len(self._counted) < _MOST:
                self._counted[receipt.key] = known.plus(receipt) if known is not None else receipt

    def store(self) -> None:
        """Tell the catalog what was counted; where it cannot be told, that is kept for the next time."""
        with self._lock:
            counted, self._counted = self._counted, {}
        if not counted:
            return
        try:
            self._catalog.receipts.add(counted.values())
        except CatalogError as error:
            _log.warning("Receipts of files were not stored: %s", error)
            for receipt in counted.values():
                self._add(receipt)

    @contextmanager
    def stored(self) -> Iterator[None]:
        """Tell the catalog every few seconds while the block runs, and at its end."""
        ended = Event()
        thread = Thread(target=self._work, args=(ended,), name="receipts", daemon=True)
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
