"""Removals in the catalog: versions that a person removed, versions whose bytes are not needed, and the blobs left.

A removed version keeps its row, hidden: its number is never given to other files, its withdrawal stays, and an ingest
of the same files restores it. Not here: taking it out of registries (intake.removing), or deleting blobs
(intake.collecting).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, select

from weighbridge.catalog import listings, schema
from weighbridge.catalog.versions import lock, require
from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.digest import Digest
from weighbridge.errors import StateConflict


def remove(connection: Connection, name: str, version: str, now: datetime) -> VersionStatus:
    """Make a version invisible and FAILED, so that no running upload makes it visible; a second call is harmless.

    Returns the status that it had. Where it was fixed as the default version, the default follows the newest PASSED
    version again.

    Raises:
        CatalogError: there was never such a version.
    """
    lock(connection, name)
    version_id, before = require(connection, name, version, hold=True, removed=True)
    models, table = schema.models, schema.versions
    values = {"status": "FAILED", "removed_at": now, "updated_at": now}
    connection.execute(table.update().where(table.c.id == version_id).values(values))
    connection.execute(models.update().where(models.c.fixed_version_id == version_id).values(fixed_version_id=None))
    listings.refresh(connection, name)
    return before


def purge(connection: Connection, name: str, version: str, now: datetime) -> None:
    """Mark the bytes of a version that did not pass as no longer needed.

    Raises:
        CatalogError: no such version, or it is not FAILED.
    """
    lock(connection, name)
    version_id, status = require(connection, name, version, hold=True)
    if status != "FAILED":
        raise StateConflict(
            f"{name}@{version} is {status}, not quarantined, so its files are not purged.",
            f"`weighbridge rm {name}@{version}` removes a version that passed.",
            status=status,
        )
    table = schema.versions
    connection.execute(table.update().where(table.c.id == version_id).values(purged_at=now, updated_at=now))
    listings.refresh(connection, name)


def needed(connection: Connection) -> set[Digest]:
    """Return every blob of every version, whatever its status."""
    table, files = schema.versions, schema.files
    alive = (
        table.c.removed_at.is_(None),
        table.c.purged_at.is_(None),
        table.c.manifest_digest == files.c.manifest_digest,
    )
    query = select(files.c.digest).where(files.c.digest.is_not(None), exists().where(*alive)).distinct()
    return {Digest.parse(text) for text in connection.execute(query).scalars()}


def is_blank(connection: Connection) -> bool:
    """Whether the catalog has never had a model."""
    return connection.execute(select(schema.versions.c.id).limit(1)).first() is None
