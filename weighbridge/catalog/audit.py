"""The audit log in the catalog: a row for each change, in one chain; no row is ever changed or removed.

The row `audit_head` has the newest number and hash. A transaction that appends rows locks it until its commit, so that
writers take turns, and the order of the numbers is the order of the commits. Not here: the chain itself
(domain.audit), or the transactions (catalog.changes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from weighbridge.catalog import schema
from weighbridge.catalog.database import Database
from weighbridge.domain.audit import EMPTY, AuditProof, AuditRow, Head, prove

_BATCH = 1000
_HEAD = select(schema.audit_head)


def append(connection: Connection, rows: Sequence[AuditRow]) -> None:
    """Append rows, which get their numbers and hashes here; call it last, as other writers wait until the commit."""
    if not rows:
        return
    last = _head(connection, hold=True)
    chained = []
    for row in rows:
        numbered = replace(row, number=last.number + 1)
        last = Head(numbered.number, numbered.hash_after(last.hash))
        chained.append(vars(numbered) | {"hash": last.hash})
    connection.execute(schema.audit.insert(), chained)
    connection.execute(schema.audit_head.update().values(number=last.number, hash=last.hash))


def newest(connection: Connection) -> Head:
    """Return the head of the log, which each change of the catalog moves."""
    return _head(connection)


def objects(connection: Connection, after: int, limit: int) -> list[str]:
    """Return what was changed after the row with a number: the object of each row, of so many rows at most."""
    table = schema.audit
    query = select(table.c.object).where(table.c.number > after).order_by(table.c.number).limit(limit)
    return list(connection.execute(query).scalars())


def about(connection: Connection, object_: str, action: str) -> list[AuditRow]:
    """Return the rows of an action on an object, in order."""
    query = _filtered(select(schema.audit).order_by(schema.audit.c.number), object_, action, None)
    return list(_read(connection, query))


class AuditLog:
    """The audit log of a catalog, for readers; `Catalog.audit` is one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: tuple[int | None, Head] = (None, EMPTY)

    def rows(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        object_: str | None = None,
        action: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
    ) -> list[AuditRow]:
        """Return rows in order, those with a number above `after` only; None stands for any object, action and actor.

        Numbers are given in the order of the commits: who asks again from the last one on misses nothing. `since` is
        the earliest time of a change, which is that of its beginning.
        """
        table = schema.audit
        query = select(table).where(table.c.number > after).order_by(table.c.number).limit(limit)
        query = query if since is None else query.where(table.c.at >= since)
        query = _filtered(query, object_, action, actor)
        with self._database.read() as connection:
            return list(_read(connection, query))

    def newest(
        self, limit: int = 100, *, model: str | None = None, action: str | None = None, actor: str | None = None
    ) -> list[AuditRow]:
        """Return the newest rows, in order; of one model and its versions, or of all."""
        query = _filtered(_of_model(model) if model is not None else select(schema.audit), None, action, actor)
        with self._database.read() as connection:
            return list(_read(connection, query.order_by(schema.audit.c.number.desc()).limit(limit)))[::-1]

    def last(self, object_: str, action: str) -> AuditRow | None:
        """Return the newest row of an action on an object, or None."""
        query = _filtered(select(schema.audit), object_, action, None)
        with self._database.read() as connection:
            return next(_read(connection, query.order_by(schema.audit.c.number.desc()).limit(1)), None)

    def of_model(self, name: str) -> list[AuditRow]:
        """Return what was done to a model and its versions, in order."""
        with self._database.read() as connection:
            return list(_read(connection, _of_model(name).order_by(schema.audit.c.number)))

    def each(self, *, after: int = 0) -> Iterator[AuditRow]:
        """Yield every row with a higher number, in order, as the log is at the first one."""
        with self._database.read() as connection:
            yield from _each(connection, after)

    def head(self) -> Head:
        """Return the newest row's number and hash, worth keeping elsewhere."""
        number = self._database.number()
        if number is not None and number == self._known[0]:
            return self._known[1]
        with self._database.read(single=True) as connection:
            found = _head(connection)
        self._known = number, found
        return found

    def prove(self, kept: Iterable[Head] = ()) -> AuditProof:
        """Return whether rows were changed, removed or inserted; `kept` are earlier heads, kept elsewhere."""
        with self._database.read() as connection:
            return prove(_each(connection), _head(connection), kept)


def _head(connection: Connection, *, hold: bool = False) -> Head:
    row = connection.execute(_HEAD.with_for_update() if hold else _HEAD).one()
    return Head(row.number, row.hash)


def _each(connection: Connection, last: int | None = None) -> Iterator[AuditRow]:
    table = schema.audit
    while True:
        query = select(table).order_by(table.c.number).limit(_BATCH)
        batch = list(_read(connection, query if last is None else query.where(table.c.number > last)))
        if not batch:
            return
        yield from batch
        last = batch[-1].number


def _filtered(query: Select[Any], object_: str | None, action: str | None, actor: str | None) -> Select[Any]:
    table = schema.audit
    for column, wanted in ((table.c.object, object_), (table.c.action, action), (table.c.actor, actor)):
        query = query if wanted is None else query.where(column == wanted)
    return query


def _of_model(name: str) -> Select[Any]:
    table = schema.audit
    its_own = (table.c.object == name) | table.c.object.startswith(f"{name}@", autoescape=True)
    return select(table).where(its_own)


def _read(connection: Connection, query: Select[Any]) -> Iterator[AuditRow]:
    return map(_row, connection.execute(query))


def _row(row: Row[Any]) -> AuditRow:
    return AuditRow(row.number, row.at, row.actor, row.action, row.object, row.before, row.after, row.hash)
