"""Jobs in lists: the newest ones, how many there are in each state, and the newest one that asks for something.

Not here: changing jobs (catalog.jobs).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select

from weighbridge.catalog import schema
from weighbridge.catalog.jobs import STATES, JobState, StoredJob, job_of
from weighbridge.catalog.queries import like

_table = schema.jobs
_OPEN = ("queued", "running")


def listed(
    connection: Connection,
    state: JobState | None,
    names: Collection[str],
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[StoredJob]:
    """Return the newest jobs first, those before a time and an id only; of models whose names match a pattern."""
    query = select(_table).order_by(_table.c.created_at.desc(), _table.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_table.c.state == state)
    if names:
        query = query.where(or_(*(like(_table.c.name, pattern) for pattern in names)))
    if before is not None:
        at, id_ = before
        query = query.where((_table.c.created_at < at) | ((_table.c.created_at == at) & (_table.c.id < id_)))
    return [job_of(row) for row in connection.execute(query)]


def counts(connection: Connection) -> dict[str, int]:
    """Return how many jobs there are in each state."""
    found = connection.execute(select(_table.c.state, func.count()).group_by(_table.c.state)).all()
    return {**dict.fromkeys(STATES, 0), **{row[0]: row[1] for row in found}}


def newest_ingest(connection: Connection, name: str, uri: str = "", since: datetime | None = None) -> StoredJob | None:
    """Return the newest ingest of a model that has not ended, or was asked for since a time; or None.

    With a URI, only one from there.
    """
    asked = (_table.c.kind == "ingest") & (_table.c.name == name)
    recent: ColumnElement[bool] = _table.c.state.in_(_OPEN)
    if since is not None:
        recent |= _table.c.created_at >= since
    query = select(_table).where(asked & recent).order_by(_table.c.created_at.desc(), _table.c.id.desc())
    found = map(job_of, connection.execute(query))
    return next((job for job in found if uri in ("", job.order.request["uri"])), None)
