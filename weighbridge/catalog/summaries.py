"""Lists of models and versions, one row each, read without files and reports.

Not here: whole versions (catalog.versions).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from weighbridge.catalog import manifests, schema
from weighbridge.catalog.versions import default_id
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.digest import Digest
from weighbridge.domain.version import ManifestSummary, VersionSummary


@dataclass(frozen=True)
class ModelSummary:
    """One line of a list of models.

    Attributes:
        name: the model's name.
        version: the default version, or the latest where there is no default.
        default: whether `version` is the default.
        status: of `version`.
        versions: how many there are.
        manifest: of `version`, without its files.
        source: pinned URI of `version`.
        card: of `version`.
        created_at: of `version`; UTC.
        updated_at: of `version`; UTC.
    """

    name: str
    version: str
    default: bool
    status: VersionStatus
    versions: int
    manifest: ManifestSummary
    source: str
    card: ModelCard
    created_at: datetime
    updated_at: datetime

    def to_json(self) -> dict[str, Any]:
        """Return the object that `weighbridge list --json` prints."""
        return {
            "name": self.name,
            "version": self.version,
            "default": self.default,
            "status": self.status,
            "versions": self.versions,
            "size": self.manifest.size,
            "manifest_digest": str(self.manifest.digest),
            "source": self.source,
            "architecture": self.card.get("architecture"),
            "parameter_count": self.card.get("parameter_count"),
            "licence": self.card.get("licence"),
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }


def model(connection: Connection, name: str) -> ModelSummary | None:
    """Return the line of one model, or None."""
    found = _models(connection, _latest().where(schema.models.c.name == name))
    return found[0] if found else None


def models(connection: Connection, after: str, limit: int | None) -> list[ModelSummary]:
    """Return one line a model, sorted by name, from the first name after `after` on."""
    named = schema.models
    query = _latest().order_by(named.c.name).limit(limit)
    return _models(connection, query.where(named.c.name > after) if after else query)


def _latest() -> Any:
    named, table = schema.models, schema.versions
    any_of = table.alias()
    of_model = (any_of.c.model_id == named.c.id, any_of.c.removed_at.is_(None))
    newest = select(func.max(any_of.c.id)).where(*of_model).scalar_subquery()
    count = select(func.count()).where(*of_model).scalar_subquery()
    return _select(count.label("versions")).where(table.c.id == func.coalesce(default_id(), newest))


def _models(connection: Connection, query: Any) -> list[ModelSummary]:
    return [
        ModelSummary(
            name=row.name,
            version=row.version,
            default=row.id == row.default_id,
            status=row.status,
            versions=row.versions,
            manifest=_manifest(row),
            source=row.source,
            card=ModelCard.from_json(row.card),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in connection.execute(query)
    ]


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
