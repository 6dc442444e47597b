"""Publications in the catalog: where each version can be had."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from weighbridge.catalog import schema
from weighbridge.catalog.database import insert
from weighbridge.domain.version import Publication


def add(connection: Connection, version_id: int, publication: Publication, now: datetime) -> None:
    """Note where a version was published; the same place again changes its loading lines only."""
    row = {
        "version_id": version_id,
        "registry": publication.registry,
        "location": publication.location,
        "load": list(publication.load),
        "published_at": now,
    }
    statement = insert(connection, schema.publications).values(row)
    changes = {"load": row["load"], "published_at": now}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["version_id", "registry", "location"], set_=changes)
    )


def remove(connection: Connection, version_id: int, registry: str) -> None:
    """Forget where one registry had a version."""
    table = schema.publications
    connection.execute(table.delete().where(table.c.version_id == version_id, table.c.registry == registry))


def by_version(connection: Connection, version_ids: Iterable[int]) -> dict[int, tuple[Publication, ...]]:
    """Return the publications of each version, sorted by registry and place."""
    table = schema.publications
    found: dict[int, list[Publication]] = {version_id: [] for version_id in version_ids}
    query = select(table).where(table.c.version_id.in_(found)).order_by(table.c.registry, table.c.location)
    for row in connection.execute(query):
        found[row.version_id].append(Publication(row.registry, row.location, tuple(row.load)))
    return {id_: tuple(publications) for id_, publications in found.items()}
