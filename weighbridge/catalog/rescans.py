"""Rescans in the catalog: which one runs, who works at it, how far it is, and what it could not look at.

What is done is read of the reports, so that a rescan that was killed is resumed by any other one. Not here: what is due
(catalog.due_blobs), and the work (intake.rescanning).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from weighbridge.catalog import due_blobs, rescan_tables
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.database import insert, take_turns
from weighbridge.catalog.due_blobs import DueQuery
from weighbridge.domain.report import ScanReport
from weighbridge.domain.rescans import OVERDUE, DueBlob, Gap, Marks, Rescan, RescanRequest, RescanState
from weighbridge.errors import CatalogUnavailable, ChangedMeanwhile

#: How long a process counts as alive after its last word.
LEASE = timedelta(minutes=2)
#: The most versions whose changed verdict, and whose purge, one rescan names.
MOST_NAMED = 100
_table, _gaps = rescan_tables.rescans, rescan_tables.gaps
_COUNTS = ("blobs_due", "bytes_due", "blobs_done", "bytes_done", "judged")


class Rescans:
    """The rescans of a catalog; `Catalog.rescans` is one. Its methods raise as the catalog's do."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def begin(self, request: RescanRequest, owner: str) -> Rescan:
        """Begin a rescan with the lease on the catalog's rescans; one that was killed is ended as `stopped`.

        Raises:
            CatalogUnavailable: another process works at one.
        """
        with self._changes.begin() as change:
            connection, now = change.connection, change.now
            take_turns(connection, "rescans")
            row = connection.execute(select(_table).where(_table.c.state == "running")).first()
            if row is not None and row.lease_until is not None and row.lease_until > now:
                raise CatalogUnavailable(
                    f"Another rescan of this catalog runs: number {row.number}, by {row.owner}.",
                    "Wait until it is done; `weighbridge rescan` then goes on with what it left.",
                    number=row.number,
                    owner=row.owner,
                )
            silent = {"state": "stopped", "owner": "", "ended_at": _table.c.updated_at}
            connection.execute(update(_table).where(_table.c.state == "running").values(silent))
            number = (connection.execute(select(func.max(_table.c.number))).scalar() or 0) + 1
            begun = Rescan(number, request, now, now, owner=owner)
            connection.execute(_table.insert().values(**_values(begun), number=number, lease_until=now + LEASE))
            change.record("rescan.begun", f"rescan:{number}", after={"request": request.to_json()})
            return begun

    def release(self, number: int, owner: str) -> None:
        """End the lease of a process that is no more."""
        mine = (_table.c.number == number, _table.c.owner == owner, _table.c.state == "running")
        with self._database.write() as connection:
            connection.execute(update(_table).where(*mine).values(lease_until=None))

    def renew(self, rescan: Rescan) -> None:
        """Store how far a rescan is, and renew its lease.

        Raises:
            ChangedMeanwhile: another process has taken its lease over.
        """
        with self._database.write() as connection:
            self._update(connection, rescan, self._changes.clock(), lease=True)

    def end(self, rescan: Rescan, state: RescanState, problem: str = "") -> Rescan:
        """End a rescan. Raises ChangedMeanwhile as `renew` does."""
        with self._changes.begin() as change:
            ended = replace(rescan, state=state, problem=problem, ended_at=change.now)
            self._update(change.connection, ended, change.now, lease=False)
            counts = {name: getattr(ended, name) for name in _COUNTS}
            ended = replace(ended, owner="", gaps=_count_gaps(change.connection, ended.number), updated_at=change.now)
            after = {"state": state, **counts, "changed": list(ended.changed), "gaps": ended.gaps, "problem": problem}
            change.record("rescan.ended", f"rescan:{ended.number}", before={"state": "running"}, after=after)
            return ended

    def add_gaps(self, number: int, gaps: Iterable[Gap]) -> None:
        """Store what a rescan could not look at."""
        with self._database.write() as connection:
            for gap in gaps:
                row = {"number": number, **gap.to_json()}
                statement = insert(connection, _gaps).values(row).on_conflict_do_nothing()
                connection.execute(statement)

    def gaps(self, number: int, *, limit: int = 1000) -> list[Gap]:
        """Return what a rescan could not look at."""
        query = select(_gaps).where(_gaps.c.number == number).order_by(_gaps.c.subject).limit(limit)
        with self._database.read() as connection:
            return [Gap(row.subject, row.what, row.detail) for row in connection.execute(query)]

    def get(self, number: int) -> Rescan | None:
        """Return a rescan, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(_table).where(_table.c.number == number)).one_or_none()
            return _rescan(connection, row) if row is not None else None

    def newest(self, limit: int = 20, before: int = 0) -> list[Rescan]:
        """Return the newest rescans, those before a number where one is given."""
        query = select(_table).order_by(_table.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query.where(_table.c.number < before) if before else query).all()
            return [_rescan(connection, row) for row in rows]

    def totals(self, query: DueQuery) -> tuple[int, int]:
        """Return how many blobs are due, and their bytes."""
        with self._database.read() as connection:
            return due_blobs.totals(connection, query)

    def due(self, query: DueQuery, limit: int) -> list[DueBlob]:
        """Return the blobs that come next."""
        with self._database.read() as connection:
            return due_blobs.slice_of(connection, query, self._changes.clock() - OVERDUE, limit)

    def paths(self, digests: Sequence[str]) -> dict[str, list[str]]:
        """Return by digest every path that versions have for a blob."""
        with self._database.read() as connection:
            return due_blobs.paths(connection, digests)

    def known(self, marks: Marks, digests: Sequence[str]) -> list[ScanReport]:
        """Return the newest reports of today's engines on some blobs."""
        with self._database.read() as connection:
            return due_blobs.known(connection, marks, digests)

    def outdated(self, query: DueQuery, digests: Iterable[str] | None = None) -> list[tuple[str, str]]:
        """Return names and numbers of versions that may be judged anew, of those with certain blobs or of all."""
        with self._database.read() as connection:
            return due_blobs.outdated(connection, query, digests)

    def purged(self, query: DueQuery) -> list[str]:
        """Return `NAME@VERSION` of versions that cannot be scanned, as nothing needs their bytes any more."""
        with self._database.read() as connection:
            return due_blobs.purged(connection, query, MOST_NAMED)

    def holders(self, digest: str) -> list[str]:
        """Return `NAME@VERSION` of some versions with a blob."""
        with self._database.read() as connection:
            return due_blobs.holders(connection, digest)

    def _update(self, connection: Connection, rescan: Rescan, now: datetime, *, lease: bool) -> None:
        values = _values(rescan) | {"updated_at": now, "lease_until": now + LEASE if lease else None}
        if not lease:
            values["owner"] = ""
        mine = (_table.c.number == rescan.number, _table.c.owner == rescan.owner, _table.c.state == "running")
        if not connection.execute(update(_table).where(*mine).values(values)).rowcount:
            raise ChangedMeanwhile(
                f"The rescan number {rescan.number} was silent for too long, and another process goes on.",
                "Nothing is to be done: what it scanned is kept.",
                number=rescan.number,
            )


def _values(rescan: Rescan) -> dict[str, Any]:
    names = (*_COUNTS, "state", "owner", "problem", "begun_at", "updated_at", "ended_at")
    values = {name: getattr(rescan, name) for name in names}
    return values | {"request": rescan.request.to_json(), "changed": list(rescan.changed[:MOST_NAMED])}


def _rescan(connection: Connection, row: Row[Any]) -> Rescan:
    values = {name: getattr(row, name) for name in (*_COUNTS, "state", "owner", "problem")}
    return Rescan(
        number=row.number,
        request=RescanRequest.from_json(row.request),
        changed=tuple(row.changed),
        gaps=_count_gaps(connection, row.number),
        begun_at=row.begun_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        **values,
    )


def _count_gaps(connection: Connection, number: int) -> int:
    return int(connection.execute(select(func.count()).where(_gaps.c.number == number)).scalar_one())
