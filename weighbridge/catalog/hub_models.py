"""The local catalogue of the Hub: what it lists of all its models, kept by refreshes, searched without a network.

It is no part of the catalog's audit log, as it is knowledge about another place. Not here: the Hub's API (net.hub).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text

from weighbridge.catalog import hub_history, hub_pages, hub_passes, hub_tables
from weighbridge.catalog.database import Database, checked_url, insert, take_turns
from weighbridge.catalog.hub_rows import COLUMNS, entries, stored
from weighbridge.catalog.hub_search import HubSearch
from weighbridge.catalog.hub_strings import StringTable, bounded
from weighbridge.catalog.hub_words import folded
from weighbridge.domain.hub_models import (
    HubChange,
    HubEntry,
    HubField,
    HubModel,
    HubPage,
    HubPass,
    HubQuery,
    HubState,
    PassKind,
)

#: The file of the Hub's models, beside that of the catalog: a refresh of hours keeps no writer of the catalog waiting.
FILE_NAME = "hub.db"
_TURN = "hub"


class HubCatalog:
    """What the Hub lists, in a database whose schema is up to date; `HubCatalog.open` makes one.

    Its methods are one transaction each, are safe for threads and processes, and raise as the catalog's do.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._strings = StringTable()

    @classmethod
    def open(cls, catalog_url: str, timeout_s: float = 30.0) -> HubCatalog:
        """Open the Hub's catalogue that belongs to a catalog, creating it or bringing its schema up to date.

        Args:
            catalog_url: that of the catalog: beside a file of SQLite is `hub.db`; PostgreSQL has both in one database.
            timeout_s: seconds to wait for another process's lock, or for a connection.

        Raises:
            InvalidConfiguration: the URL names no such database.
            CatalogError: the database cannot be used, was written by a newer Weighbridge, or PostgreSQL has no pg_trgm.
            CatalogUnavailable: it is locked or not reachable.
        """
        url = checked_url(catalog_url)
        if url.get_backend_name() == "sqlite":
            assert url.database is not None
            url = url.set(database=str(Path(url.database).with_name(FILE_NAME)))
        database = Database(url, timeout_s, schema=hub_tables.SCHEMA)
        try:
            database.upgrade()
        except BaseException:  # Also after an interrupt: nothing else would close the connections.
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> HubCatalog:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def identity(self) -> str:
        """A random text of these tables: numbers of changes that were read of other ones mean nothing in them."""
        with self._database.read(single=True) as connection:
            return str(connection.execute(select(hub_tables.totals.c.identity)).scalar_one())

    def begin(self, kind: PassKind, selection: str, owner: str, at: datetime) -> HubPass:
        """Begin a pass, or resume the one of that kind and selection that did not come to its end.

        Args:
            kind: what it goes through.
            selection: what limits a partial one, as text.
            owner: the process that works at it; each page lets it live for another `hub_passes.LEASE`.
            at: the time.

        Raises:
            CatalogUnavailable: another process works at it.
        """
        with self._database.write() as connection:
            take_turns(connection, _TURN)
            return hub_passes.begin(connection, kind, selection, owner, at)

    def add_page(
        self, number: int, owner: str, models: Sequence[HubModel], cursor: str, at: datetime
    ) -> tuple[HubPass, tuple[HubChange, ...]]:
        """Store a page of a pass: its models, their history and where the pass goes on, in one transaction.

        Args:
            number: the pass's.
            owner: the process that works at it.
            models: the page's.
            cursor: the address of the next page; empty after the last.
            at: when the Hub answered.

        Returns:
            The pass, and what has changed of models that were known before.

        Raises:
            ChangedMeanwhile: the pass has ended, or another process took it over.
        """
        with self._database.write() as connection:
            take_turns(connection, _TURN)
            before = hub_passes.working_at(connection, number, owner)
            page = hub_pages.store(connection, models, at, self._strings)
            created = [model.created_at for model in models if model.created_at is not None]
            after = replace(
                before,
                cursor=cursor,
                last_created_at=created[-1] if created else before.last_created_at,
                pages=before.pages + 1,
                models=before.models + len(models),
                added=before.added + page.added,
                changed=before.changed + len({change.id for change in page.changes}),
            )
            hub_passes.add_page(connection, before, after, at)
        self._strings.learn(page.texts)
        return after, tuple(page.changes)

    def renew(self, number: int, owner: str, at: datetime) -> None:
        """Keep the lease on a pass during a long wait for the Hub.

        Raises:
            ChangedMeanwhile: the pass has ended, or another process took it over.
        """
        with self._database.write() as connection:
            before = hub_passes.working_at(connection, number, owner)
            hub_passes.add_page(connection, before, before, at)

    def finish(self, number: int, owner: str, at: datetime) -> HubPass:
        """End a pass; a full one marks the models that the Hub did not list since it began.

        Raises:
            CatalogError: it would mark most models, so that the list cannot have been whole; the pass goes on.
            ChangedMeanwhile: the pass has ended, or another process took it over.
        """
        with self._database.write() as connection:
            take_turns(connection, _TURN)
            return hub_passes.finish(connection, hub_passes.working_at(connection, number, owner), at)

    def release(self, number: int, owner: str) -> None:
        """Give the lease on a pass back, so that any process can resume it at once."""
        with self._database.write() as connection:
            hub_passes.release(connection, number, owner)

    def remember(self, entry_models: Sequence[HubModel], at: datetime) -> tuple[HubChange, ...]:
        """Store what a live question brought, and return what has changed of models that were known before."""
        with self._database.write() as connection:
            take_turns(connection, _TURN)
            page = hub_pages.store(connection, entry_models, at, self._strings)
        self._strings.learn(page.texts)
        return tuple(page.changes)

    def search(self, query: HubQuery) -> HubPage:
        """Return a page of the models that a query wants.

        Raises:
            UsageError: the order is unknown, or the cursor is not one of this order.
        """
        with self._database.read() as connection:
            return HubSearch(connection, query, self._strings).page()

    def find(self, id: str) -> HubEntry | None:  # noqa: A002 - the Hub's word
        """Return the model of a name, in any case of letters, or None."""
        query = f"SELECT {COLUMNS} FROM hub_models m JOIN hub_figures f ON f.number = m.number "  # noqa: S608
        with self._database.read() as connection:
            key = {"key": folded(bounded(id))}
            row = connection.execute(text(query + "WHERE lower(m.id) = :key"), key).one_or_none()
            return entries(connection, [stored(row)], self._strings)[0] if row is not None else None

    def count(self, query: HubQuery, most: int) -> int:
        """Return how many models a query wants, counted up to a number; its cursor and limit do not count."""
        with self._database.read() as connection:
            return HubSearch(connection, replace(query, cursor=""), self._strings).count(most)

    def changes(
        self,
        since: datetime,
        fields: Sequence[HubField] = (),
        ids: Sequence[str] = (),
        limit: int = 100,
        after: int = 0,
    ) -> Sequence[tuple[int, HubChange]]:
        """Return changes with their numbers, which count in the order in which they were stored.

        Args:
            since: the time of the first.
            fields: what changed; anything where empty.
            ids: names of models, in any case of letters; all where empty.
            limit: how many at most.
            after: the number of the change before the first.
        """
        wanted = hub_history.WantedChanges(since, tuple(fields), tuple(ids), limit, after)
        with self._database.read(single=True) as connection:
            return hub_history.changes(connection, wanted)

    def state(self) -> HubState:
        """Return what the catalogue holds, and how old it is."""
        with self._database.read() as connection:
            totals = connection.execute(select(hub_tables.totals)).one()
            passes = hub_passes.newest(connection)
            return HubState(
                models=totals.models,
                vanished=totals.vanished,
                full=passes.get(PassKind.FULL),
                recent=passes.get(PassKind.RECENT),
                partial=passes.get(PassKind.PARTIAL),
                running=passes.get(None),
                size=_size(connection),
            )

    def batches(self, query: HubQuery, size: int = 10_000) -> Iterator[tuple[HubEntry, ...]]:
        """Yield all models that a query wants, in its order, from one state of the catalogue; its limit does not count.

        Args:
            query: what is wanted.
            size: how many rows are read at a time.
        """
        with self._database.read() as connection:
            yield from HubSearch(connection, query, self._strings).batches(size)

    def access(self, id: str, token_hash: str) -> tuple[bool, datetime] | None:  # noqa: A002
        """Return whether a token could read a gated model, and when the Hub said so; None if it was never asked."""
        table = hub_tables.access
        of_both = (table.c.id == folded(bounded(id)), table.c.token_hash == token_hash)
        with self._database.read(single=True) as connection:
            row = connection.execute(select(table.c.allowed, table.c.at).where(*of_both)).one_or_none()
        return (bool(row.allowed), row.at) if row is not None else None

    def remember_access(self, id: str, token_hash: str, allowed: bool, at: datetime) -> None:  # noqa: A002
        """Store whether a token can read a gated model."""
        values: dict[str, Any] = {"allowed": int(allowed), "at": at}
        key = {"id": folded(bounded(id)), "token_hash": token_hash}
        with self._database.write() as connection:
            new = insert(connection, hub_tables.access).values(**key, **values)
            connection.execute(new.on_conflict_do_update(index_elements=["id", "token_hash"], set_=values))


def _size(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        names = (f"pg_total_relation_size('{table.name}')" for table in hub_tables.metadata.sorted_tables)
        return int(connection.exec_driver_sql(f"SELECT {' + '.join(names)}").scalar_one())
    pages, page_size = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size")
    )
    return int(pages) * int(page_size)
