"""Publications in the catalog: the registries that have each version, and the uploads to them.

An upload is recorded before its first byte is sent. The record stays until the publication is recorded, or until a day
after the uploading process must have ended: so a withdrawal finds every registry that may hold parts of the version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select

from weighbridge.catalog import schema
from weighbridge.catalog.database import insert
from weighbridge.domain.version import Publication

#: An upload that began longer ago than this has ended, whatever became of it.
UPLOAD_LIFETIME = timedelta(days=1)
_table = schema.publications
_OF_VERSIONS = (
    select(_table)
    .where(_table.c.version_id.in_(bindparam("ids", expanding=True)))
    .order_by(_table.c.registry, _table.c.address, _table.c.location)
)


@dataclass(frozen=True)
class RegistryPlace:
    """A registry that holds a version, or may hold parts of it.

    Attributes:
        registry: the registry's kind.
        address: its address; empty in records from before addresses were stored.
        uploading: whether only an upload to it is recorded.
        dead: whether that upload is too old to be still running.
    """

    registry: str
    address: str
    uploading: bool = False
    dead: bool = False


def begin_upload(connection: Connection, version_id: int, registry: str, address: str, now: datetime) -> None:
    """Record that an upload of a version to a registry begins."""
    row = {"version_id": version_id, "registry": registry, "address": address, "begun_at": now}
    statement = insert(connection, schema.uploads).values(row)
    keys = ["version_id", "registry", "address"]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_={"begun_at": now}))


def end_upload(connection: Connection, version_id: int, registry: str, address: str) -> None:
    """Delete the record of an upload."""
    table = schema.uploads
    connection.execute(
        table.delete().where(table.c.version_id == version_id, table.c.registry == registry, table.c.address == address)
    )


def add(connection: Connection, version_id: int, publication: Publication, now: datetime) -> None:
    """Record where a version was published; the same place again changes only its loading lines."""
    row = {
        "version_id": version_id,
        "registry": publication.registry,
        "address": publication.address,
        "location": publication.location,
        "load": list(publication.load),
        "published_at": now,
    }
    if publication.address:
        remove(connection, version_id, publication.registry, "")
    statement = insert(connection, schema.publications).values(row)
    changes = {"load": row["load"], "published_at": now}
    keys = ["version_id", "registry", "address", "location"]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))


def remove(connection: Connection, version_id: int, registry: str, address: str) -> None:
    """Delete the record that a registry has a version."""
    table = schema.publications
    connection.execute(
        table.delete().where(table.c.version_id == version_id, table.c.registry == registry, table.c.address == address)
    )


def places(connection: Connection, version_id: int, now: datetime) -> list[RegistryPlace]:
    """Return every registry that has a version or may have parts of it, sorted; each once."""
    published, uploads = schema.publications, schema.uploads
    rows = connection.execute(
        select(published.c.registry, published.c.address).where(published.c.version_id == version_id).distinct()
    )
    found = {(row.registry, row.address): RegistryPlace(row.registry, row.address) for row in rows}
    for row in connection.execute(select(uploads).where(uploads.c.version_id == version_id)):
        dead = now - row.begun_at > UPLOAD_LIFETIME
        found.setdefault(
            (row.registry, row.address), RegistryPlace(row.registry, row.address, uploading=True, dead=dead)
        )
    return [found[key] for key in sorted(found)]


def by_version(connection: Connection, version_ids: Iterable[int]) -> dict[int, tuple[Publication, ...]]:
    """Return the publications of each version, sorted by registry and place."""
    found: dict[int, list[Publication]] = {version_id: [] for version_id in version_ids}
    for row in connection.execute(_OF_VERSIONS, {"ids": list(found)}) if found else ():
        found[row.version_id].append(Publication(row.registry, row.location, tuple(row.load), row.address))
    return {id_: tuple(publications) for id_, publications in found.items()}
