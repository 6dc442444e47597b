"""Scan reports in the catalog: facts, stored for good; the newest one under a `ScanReport.key` counts.

A replaced report stays readable by its id, so that old decisions keep their grounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from weighbridge.catalog import schema
from weighbridge.catalog.database import insert
from weighbridge.catalog.manifests import batches
from weighbridge.domain.digest import Digest
from weighbridge.domain.report import ScanReport

_links = schema.version_reports
_LINKED = (
    select(_links.c.version_id, schema.reports.c.content)
    .join(schema.reports, schema.reports.c.id == _links.c.report_id)
    .where(_links.c.version_id.in_(bindparam("ids", expanding=True)))
)


def add(connection: Connection, reports: Iterable[ScanReport], now: datetime) -> None:
    """Store reports; one that is stored already becomes the newest of its key again."""
    table = schema.reports
    newest = connection.execute(select(func.coalesce(func.max(table.c.sequence), 0))).scalar_one()
    places = {report.id: (place, report) for place, report in enumerate(reports, start=newest + 1)}
    # Rows are written in the order of ids, so that two processes with the same reports cannot deadlock.
    statement = insert(connection, table)
    changes = {"sequence": statement.excluded.sequence, "recorded_at": statement.excluded.recorded_at}
    statement = statement.on_conflict_do_update(index_elements=["id"], set_=changes)
    for batch in batches(sorted(places)):
        connection.execute(statement, [_row(*places[id_], now) for id_ in batch])


def _row(place: int, report: ScanReport, now: datetime) -> dict[str, Any]:
    return {
        "id": report.id,
        "digest": str(report.digest),
        "scanner": report.scanner,
        "version": report.version,
        "rules": report.rules,
        "subject": report.subject,
        "status": report.status,
        "content": report.to_json(),
        "sequence": place,
        "recorded_at": now,
    }


def newest(connection: Connection, digests: Iterable[Digest]) -> list[ScanReport]:
    """Return the newest report of each key for these blobs, sorted by key."""
    table = schema.reports
    found: dict[tuple[str, ...], ScanReport] = {}
    for batch in batches(sorted({str(digest) for digest in digests})):
        query = select(table.c.content).where(table.c.digest.in_(batch)).order_by(table.c.sequence, table.c.recorded_at)
        for content in connection.execute(query).scalars():
            report = ScanReport.from_json(content)
            found[report.key] = report
    return [found[key] for key in sorted(found)]


def by_id(connection: Connection, id_: str) -> ScanReport | None:
    """Return a report by its id, or None."""
    content = connection.execute(select(schema.reports.c.content).where(schema.reports.c.id == id_)).scalar()
    return ScanReport.from_json(content) if content is not None else None


def link(connection: Connection, version_id: int, reports: Iterable[ScanReport]) -> None:
    """Replace the reports of a version by these."""
    table = schema.version_reports
    connection.execute(table.delete().where(table.c.version_id == version_id))
    for batch in batches(sorted({report.id for report in reports})):
        connection.execute(table.insert(), [{"version_id": version_id, "report_id": id_} for id_ in batch])


def linked(connection: Connection, version_ids: Iterable[int]) -> dict[int, tuple[ScanReport, ...]]:
    """Return the reports of each version, sorted by key."""
    found: dict[int, list[ScanReport]] = {version_id: [] for version_id in version_ids}
    for row in connection.execute(_LINKED, {"ids": list(found)}) if found else ():
        found[row.version_id].append(ScanReport.from_json(row.content))
    return {id_: tuple(sorted(reports, key=lambda report: report.key)) for id_, reports in found.items()}
