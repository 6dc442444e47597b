"""What a rescan has to look at: blobs without a report of today's engines, and versions that were judged before them.

The database answers from indexes: no report is loaded, and only a slice of the blobs. Not here: which reports count
(domain.rescans), the rescans themselves (catalog.rescans).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    desc,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
)

from weighbridge.catalog import rescan_tables, schema
from weighbridge.catalog.manifests import batches
from weighbridge.domain.report import NOT_APPLICABLE, ScanReport
from weighbridge.domain.rescans import DueBlob, Marks

_files, _models, _reports, _versions = schema.files, schema.models, schema.reports, schema.versions


@dataclass(frozen=True)
class DueQuery:
    """What is due, for which versions.

    Attributes:
        marks: those of today's engines.
        models: `NAME` or `NAME@VERSION`, whatever their verdict; empty for every version that passed.
        number: of the rescan, whose gaps are left out; 0 for none.
    """

    marks: Marks
    models: tuple[str, ...] = ()
    number: int = 0


def totals(connection: Connection, query: DueQuery) -> tuple[int, int]:
    """Return how many blobs are due, and their bytes."""
    due = _due(query).subquery()
    row = connection.execute(select(func.count(), func.coalesce(func.sum(due.c.size), 0)).select_from(due)).one()
    return int(row[0]), int(row[1])


def slice_of(connection: Connection, query: DueQuery, overdue_since: datetime, limit: int) -> list[DueBlob]:
    """Return the blobs that come next: overdue ones, the oldest first, then by default version and requests."""
    newest = _newest_before(connection, overdue_since)
    due = _due(query).subquery()
    last = select(func.max(_reports.c.sequence)).where(_reports.c.digest == due.c.digest).scalar_subquery()
    ranked = select(due, func.coalesce(last, 0).label("seen")).subquery()
    overdue = ranked.c.seen <= newest
    order = (
        *(desc(overdue), case((overdue, ranked.c.seen), else_=0)),
        *(desc(ranked.c.is_default), desc(ranked.c.requests), ranked.c.digest),
    )
    rows = connection.execute(select(ranked, overdue.label("overdue")).order_by(*order).limit(limit))
    return [
        DueBlob(row.digest, row.size or 0, bool(row.is_default), int(row.requests), bool(row.overdue)) for row in rows
    ]


def paths(connection: Connection, digests: Sequence[str]) -> dict[str, list[str]]:
    """Return by digest every path that a version which was not removed has for a blob."""
    alive = exists().where(_versions.c.manifest_digest == _files.c.manifest_digest, _versions.c.removed_at.is_(None))
    found: dict[str, list[str]] = {}
    for batch in batches(digests):
        query = select(_files.c.digest, _files.c.path).where(_files.c.digest.in_(batch), alive).distinct()
        for digest, path in connection.execute(query.order_by(_files.c.path)):
            found.setdefault(digest, []).append(path)
    return found


def known(connection: Connection, marks: Marks, digests: Sequence[str]) -> list[ScanReport]:
    """Return the newest reports of today's engines on some blobs, without those of all the engines before them."""
    current = or_(false(), *(_marked(name, accepted) for name, accepted in marks.accepted.items()))
    found: dict[tuple[str, ...], ScanReport] = {}
    for batch in batches(digests):
        query = select(_reports.c.content).where(_reports.c.digest.in_(batch), current).order_by(_reports.c.sequence)
        for content in connection.execute(query).scalars():
            report = ScanReport.from_json(content)
            found[report.key] = report
    return list(found.values())


def outdated(connection: Connection, query: DueQuery, digests: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Return names and numbers of versions that were judged before today's engines saw all of their blobs.

    Args:
        connection: for the statements.
        query: for which versions.
        digests: of blobs one of which a version has; None for all.
    """
    if digests is None:
        return [tuple(row) for row in connection.execute(_outdated(query))]
    found: dict[tuple[str, str], None] = {}
    for batch in batches(sorted(digests)):
        with_one = _versions.c.manifest_digest.in_(
            select(_files.c.manifest_digest).where(_files.c.digest.in_(batch)).distinct()
        )
        found |= dict.fromkeys(tuple(row) for row in connection.execute(_outdated(query).where(with_one)))
    return list(found)


def purged(connection: Connection, query: DueQuery, limit: int) -> list[str]:
    """Return `NAME@VERSION` of versions with a blob that is due, and whose bytes nothing needs any more."""
    due = exists().where(
        _files.c.manifest_digest == _versions.c.manifest_digest, _files.c.digest.is_not(None), not_(_covered(query))
    )
    wanted = (*_wanted(query), _versions.c.purged_at.is_not(None), due)
    rows = connection.execute(_named().where(*wanted).order_by(_models.c.name, _versions.c.id).limit(limit))
    return [f"{name}@{number}" for name, number in rows]


def holders(connection: Connection, digest: str, limit: int = 5) -> list[str]:
    """Return `NAME@VERSION` of some versions with a blob."""
    query = (
        _named()
        .join(_files, _files.c.manifest_digest == _versions.c.manifest_digest)
        .where(_files.c.digest == digest, _versions.c.removed_at.is_(None))
        .distinct()
        .order_by(_models.c.name, _versions.c.version)
        .limit(limit)
    )
    return [f"{name}@{number}" for name, number in connection.execute(query)]


def _due(query: DueQuery) -> Select[Any]:
    listings = schema.listings
    listed = and_(listings.c.model_id == _versions.c.model_id, listings.c.version_id == _versions.c.id)
    statement = (
        select(
            _files.c.digest,
            func.max(_files.c.size).label("size"),
            func.max(case((listings.c.is_default, 1), else_=0)).label("is_default"),
            func.coalesce(func.sum(schema.uses.c.requests), 0).label("requests"),
        )
        .select_from(_versions)
        .join(_models, _models.c.id == _versions.c.model_id)
        .join(_files, _files.c.manifest_digest == _versions.c.manifest_digest)
        .outerjoin(listings, listed)
        .outerjoin(schema.uses, schema.uses.c.version_id == _versions.c.id)
        .where(*_wanted(query), _versions.c.purged_at.is_(None))
        .where(_files.c.digest.is_not(None), not_(_covered(query)))
        .group_by(_files.c.digest)
    )
    if query.number:
        gaps = rescan_tables.gaps
        statement = statement.where(~exists().where(gaps.c.number == query.number, gaps.c.subject == _files.c.digest))
    return statement


def _outdated(query: DueQuery) -> Select[Any]:
    """Versions whose blobs are all covered, with fewer linked reports of today than blobs times engines."""
    links = schema.version_reports
    current = or_(false(), *(_marked(name, marks) for name, marks in query.marks.accepted.items()))
    linked = (
        select(func.count(func.distinct(_reports.c.digest + literal("/") + _reports.c.scanner)))
        .select_from(links)
        .join(_reports, _reports.c.id == links.c.report_id)
        .where(links.c.version_id == _versions.c.id, current)
    )
    of_version = (_files.c.manifest_digest == _versions.c.manifest_digest, _files.c.digest.is_not(None))
    blobs = select(func.count(func.distinct(_files.c.digest))).where(*of_version)
    due = exists().where(*of_version, not_(_covered(query)))
    fewer = linked.scalar_subquery() < blobs.scalar_subquery() * len(query.marks.accepted)
    return _named().where(*_wanted(query), ~due, fewer).order_by(_models.c.name, _versions.c.id)


def _named() -> Select[Any]:
    return select(_models.c.name, _versions.c.version).join(_versions, _versions.c.model_id == _models.c.id)


def _wanted(query: DueQuery) -> list[ColumnElement[bool]]:
    alive = _versions.c.removed_at.is_(None)
    if not query.models:
        return [alive, _versions.c.status == "PASSED"]
    names = [one for one in query.models if "@" not in one]
    pairs = [tuple(one.split("@", 1)) for one in query.models if "@" in one]
    named = or_(_models.c.name.in_(names), tuple_(_models.c.name, _versions.c.version).in_(pairs))
    return [alive, _versions.c.status.in_(("PASSED", "FAILED")), named]


def _covered(query: DueQuery) -> ColumnElement[bool]:
    """Whether each of today's engines has a report on a file's blob that counts; see `domain.rescans.counts`."""
    return and_(
        literal(1) == 1,
        *(
            exists().where(_reports.c.digest == _files.c.digest, _marked(name, marks), _counting())
            for name, marks in query.marks.accepted.items()
        ),
    )


def _marked(scanner: str, marks: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    either = (and_(_reports.c.version == version, _reports.c.rules == rules) for version, rules in marks)
    return and_(_reports.c.scanner == scanner, or_(false(), *either))


def _counting() -> ColumnElement[bool]:
    reason = _reports.c.content["reason"].as_string()
    return or_(
        _reports.c.status.in_(("completed", "partial")),
        and_(_reports.c.status == "skipped", reason == NOT_APPLICABLE),
    )


def _newest_before(connection: Connection, moment: datetime) -> int:
    """Return the number of the last report that was stored before a time, found by halving."""
    table, low = _reports, 0
    high = connection.execute(select(func.coalesce(func.max(table.c.sequence), 0))).scalar_one()
    while low < high:
        middle = (low + high + 1) // 2
        following = select(table.c.recorded_at).where(table.c.sequence >= middle).order_by(table.c.sequence).limit(1)
        stored_at = connection.execute(following).scalar_one()
        low, high = (middle, high) if stored_at < moment else (low, middle - 1)
    return int(low)
