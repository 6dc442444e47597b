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
from weighbridge.domain.version import ManifestSummary, VersionSummary


def of_model(connection: Connection, name: str) -> list[VersionSummary]:
    """Return a line for every version of a model, the latest first."""
    return _load(connection, _select().where(schema.models.c.name == name).order_by(schema.versions.c.id.desc()))


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
