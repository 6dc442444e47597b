"""Lists of models as they were answered, each kept until the catalog changes: people and pages ask for the same ones.

Every change of the catalog has a row in the audit log, so the number of the newest one says whether there was any.
Not here: rankings (intake.ranking), which are kept in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from weighbridge.catalog import Catalog, ModelQuery
from weighbridge.web.answers import Body, body_of

#: Bytes of all lists that are kept in memory; a list of 50 models has about 40 kB.
MOST_KEPT = 16 * 1024**2


class KeptLists:
    """Lists by their query, which names the models that the asker may see. Safe for threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._lock = catalog, Lock()
        self._number = 0
        self._kept: dict[ModelQuery, Body] = {}
        self._size = 0

    def of(self, query: ModelQuery, make: Callable[[], Any]) -> Body:
        """Return the list of a query; `make` returns its document where none is kept of today's catalog."""
        number = self._catalog.audit.head().number  # Before the list is made: a change meanwhile makes it anew.
        with self._lock:
            if number != self._number:
                self._forget(number)
            found = self._kept.get(query)
        if found is None:
            found = body_of(make())
            with self._lock:
                self._keep(query, found, number)
        return found

    def _keep(self, query: ModelQuery, body: Body, number: int) -> None:
        if number != self._number or query in self._kept or len(body.content) > MOST_KEPT:
            return
        if self._size + len(body.content) > MOST_KEPT:
            self._forget(number)
        self._kept[query] = body
        self._size += len(body.content)

    def _forget(self, number: int) -> None:
        self._kept.clear()
        self._number, self._size = number, 0
