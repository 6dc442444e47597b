"""Lists of versions, one row each, read without files and reports.

Not here: whole versions (catalog.versions), or lists of models (catalog.listings).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select

from weighbridge.catalog import manifests, schema
from weighbridge.catalog.listings import default_id
from weighbridge.domain.card import ModelCard
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.version import ManifestSummary, VersionSummary


def of_model(connection: Connection, name: str, before: str, limit: int | None) -> list[VersionSummary]:
    """Return a line for every version of a model, the latest first; with `before`, of those added before that one."""
    models, table = schema.models, schema.versions
    query = _select().where(models.c.name == name).order_by(table.c.id.desc()).limit(limit)
    if before:
        other = table.alias()
        of_same = (other.c.model_id == table.c.model_id, other.c.version == before)
        query = query.where(table.c.id < select(other.c.id).where(*of_same).correlate(table).scalar_subquery())
    return _load(connection, query)


def files(connection: Connection, name: str, version: str, after: str, limit: int | None) -> list[FileEntry]:
    """Return files of a version, sorted by path, from the first path after `after` on."""
    models, table, entries = schema.models, schema.versions, schema.files
    query = (
        select(entries)
        .join(table, table.c.manifest_digest == entries.c.manifest_digest)
        .join(models, models.c.id == table.c.model_id)
        .where(models.c.name == name, table.c.version == version, table.c.removed_at.is_(None))
        .order_by(entries.c.path)
        .limit(limit)
    )
    rows = connection.execute(query.where(entries.c.path > after) if after else query)
    return [FileEntry(row.path, row.size, Digest.parse(row.digest) if row.digest else None) for row in rows]


def of_manifests(connection: Connection, digests: Iterable[str]) -> list[VersionSummary]:
    """Return a line for every version that has one of these manifests, sorted by name, the latest first."""
    table = schema.versions
    query = _select().order_by(schema.models.c.name, table.c.id.desc())
    found = [
        version
        for part in manifests.batches(sorted(set(digests)))
        for version in _load(connection, query.where(table.c.manifest_digest.in_(part)))
    ]
    return sorted(found, key=lambda version: version.name)


def _select(*more: Any) -> Any:
    named, table, stored = schema.models, schema.versions, schema.manifests
    return (
        select(named.c.name, table, stored.c.size, stored.c.file_count, default_id().label("default_id"), *more)
        .join(table, table.c.model_id == named.c.id)
        .join(stored, stored.c.digest == table.c.manifest_digest)
        .where(table.c.removed_at.is_(None))
    )


def _manifest(row: Row[Any]) -> ManifestSummary:
    return ManifestSummary(Digest.parse(row.manifest_digest), row.size, row.file_count)


def _load(connection: Connection, query: Any) -> list[VersionSummary]:
    rows = connection.execute(query).all()
    registries = _registries(connection, [row.id for row in rows])
    return [
        VersionSummary(
            name=row.name,
            version=row.version,
            status=row.status,
            default=row.id == row.default_id,
            purged=row.purged_at is not None,
            created_at=row.created_at.isoformat(),
            source=row.source,
            manifest=_manifest(row),
            registries=tuple(sorted(registries.get(row.id, ()))),
            card=ModelCard.from_json(row.card),
        )
        for row in rows
    ]


def _registries(connection: Connection, version_ids: list[int]) -> dict[int, set[str]]:
    table, found = schema.publications, dict[int, set[str]]()
    for part in manifests.batches(version_ids):
        query = select(table.c.version_id, table.c.registry).where(table.c.version_id.in_(part))
        for row in connection.execute(query):
            found.setdefault(row.version_id, set()).add(row.registry)
    return found
