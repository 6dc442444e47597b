"""Ingests in the catalog: every attempt to take a model in, and how far it came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from weighbridge.catalog import schema
from weighbridge.domain.decision import VersionStatus
from weighbridge.errors import CatalogError

#: A version's states (spec 4), and ERROR: the work could not be done, so that there is no verdict.
IngestStatus = VersionStatus | Literal["ERROR"]
#: Why an attempt was made, where nobody asked for that model by hand: a request of the mirror, or another scan.
IngestCause = Literal["", "mirror", "rescan"]


@dataclass(frozen=True)
class Ingest:
    """One attempt to take a model in.

    Attributes:
        id: of this attempt.
        name: the model's name.
        uri: the URI that was requested.
        status: of `IngestStatus`; after a crash the last one reached, with an old `updated_at`.
        version: the version it led to, or empty.
        error: why it failed, or empty.
        run_url: the page that shows the run, or empty.
        started_at: when it began; UTC.
        updated_at: when the status last changed; UTC.
    """

    id: int
    name: str
    uri: str
    status: IngestStatus
    version: str
    error: str
    run_url: str
    started_at: datetime
    updated_at: datetime


def begin(connection: Connection, name: str, uri: str, run_url: str, cause: IngestCause, now: datetime) -> int:
    """Record a new attempt as PENDING and return its id."""
    moments = {"started_at": now, "updated_at": now}
    row = {"name": name, "uri": uri, "status": "PENDING", "run_url": run_url, "cause": cause or None, **moments}
    result = connection.execute(schema.ingests.insert().values(row))
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def update(connection: Connection, id_: int, changes: dict[str, Any], now: datetime) -> str:
    """Change an attempt's status and other columns, and return the status that it had.

    Raises:
        CatalogError: there is no such attempt.
    """
    table = schema.ingests
    query = select(table.c.status).where(table.c.id == id_).with_for_update()
    before: str | None = connection.execute(query).scalar_one_or_none()
    if before is None:
        raise CatalogError(f"The catalog knows no ingest {id_}.", "Ids come from begin_ingest.", id=id_)
    connection.execute(table.update().where(table.c.id == id_).values(changes | {"updated_at": now}))
    return before


def listed(connection: Connection, name: str | None, run: str, limit: int) -> list[Ingest]:
    """Return the newest attempts first; with a run's id, only those whose page is that run's."""
    table = schema.ingests
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if name is not None:
        query = query.where(table.c.name == name)
    if run:
        query = query.where(table.c.run_url.endswith(f"/{run}", autoescape=True))
    return [of_row(row) for row in connection.execute(query)]


def of_row(row: Row[Any]) -> Ingest:
    """Return the attempt of a row."""
    return Ingest(
        id=row.id,
        name=row.name,
        uri=row.uri,
        status=row.status,
        version=row.version or "",
        error=row.error or "",
        run_url=row.run_url,
        started_at=row.started_at,
        updated_at=row.updated_at,
    )
