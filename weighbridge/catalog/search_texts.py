"""Texts that searches look at, kept in memory, one a model: a search is a part of them.

A part of a word is found by no index that both databases have (docs/adr/0020). Every change of a model is a row of the
audit log that names it, so each search first reads the texts of the models that were named since the last one, whoever
changed them. Not here: what a model's text is, and the other filters (catalog.listings).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, islice
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from weighbridge.catalog import audit, schema
from weighbridge.catalog.column_types import storable
from weighbridge.catalog.manifests import BATCH, batches

#: Rows of the audit log beyond which all texts are read again.
_MOST_ROWS = 5_000
_ALL = select(schema.listings.c.name, schema.listings.c.searched)
_NAMED = _ALL.where(schema.listings.c.name.in_(bindparam("names", expanding=True)))


class _Texts:
    """The texts as they were at one time: each by its name, and all in one, which is searched four times as fast."""

    def __init__(self, by_name: Mapping[str, bytes]) -> None:
        self.by_name = by_name
        self._names = tuple(by_name)
        self._all = b"\0".join(by_name.values())  # No stored text has this sign, and no part that is searched for.
        self._starts = array("Q", accumulate((len(text) + 1 for text in by_name.values()), initial=0))

    def having(self, part: bytes) -> Iterator[str]:
        """Yield the name of each model whose text has a part."""
        found = self._all.find(part)
        while found >= 0:
            number = bisect_right(self._starts, found) - 1
            yield self._names[number]
            found = self._all.find(part, self._starts[number + 1])


@dataclass(frozen=True)
class Found:
    """The models whose text has a part, by name.

    Attributes:
        texts: of all models.
        part: what is searched for.
        few: the names, where they are few enough for one statement; None where they are more.
    """

    texts: Mapping[str, bytes]
    part: bytes
    few: tuple[str, ...] | None

    def __contains__(self, name: str) -> bool:
        return self.part in self.texts.get(name, b"")


class SearchTexts:
    """The texts of one catalog; safe for threads. They are read at the first search."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._number = -1
        self._texts = _Texts({})

    def having(self, connection: Connection, part: str) -> Found:
        """Return the models whose text has a part, whatever its case, with every change that the transaction sees."""
        newest = audit.newest(connection).number
        with self._lock:
            if newest > self._number:
                self._update(connection)
                self._number = newest
            texts = self._texts
        wanted = storable(part.casefold()).encode()
        names = tuple(islice(texts.having(wanted), BATCH + 1))
        return Found(texts.by_name, wanted, names if len(names) <= BATCH else None)

    def _update(self, connection: Connection) -> None:
        changed = audit.objects(connection, self._number, _MOST_ROWS)
        if self._number < 0 or len(changed) == _MOST_ROWS:
            self._texts = _Texts(_read(connection, _ALL))
            return
        names = {object_.partition("@")[0] for object_ in changed}
        now: dict[str, bytes] = {}
        for part in batches(sorted(names)):
            now |= _read(connection, _NAMED, {"names": part})
        before = self._texts.by_name
        if any(now.get(name) != before.get(name) for name in names):
            kept = {name: text for name, text in before.items() if name not in names}
            self._texts = _Texts(kept | now)


def _read(connection: Connection, query: Select[Any], values: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    return {name: text.encode() for name, text in connection.execute(query, values)}
