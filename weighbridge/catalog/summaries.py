"""Lists of versions, one row each, read without files and reports.

Not here: whole versions (catalog.versions), or lists of models (catalog.listings).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select

from weighbridge.catalog import manifests, schema
from weighbridge.catalog.column_types import LIMIT, NO_LIMIT
from weighbridge.catalog.listings import DEFAULT_ID
from weighbridge.domain.card import ModelCard
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.version import ManifestSummary, VersionSummary


def of_model(connection: Connection, name: str, before: str, limit: int | None) -> list[VersionSummary]:
    """Return a line for every version of a model, the latest first; with `before`, of those added before that one."""
    values = {"name": name, "limit": NO_LIMIT if limit is None else limit}
    if before:
        return _load(connection, _OF_MODEL_BEFORE, {**values, "before": before})
    return _load(connection, _OF_MODEL, values)


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


def with_file(connection: Connection, name: str, digest: str) -> list[str]:
    """Return the numbers of the versions of a model that have a file of a digest, the latest first."""
    models, table, entries = schema.models, schema.versions, schema.files
    query = (
        select(table.c.version)
        .join(models, models.c.id == table.c.model_id)
        .where(models.c.name == name, table.c.removed_at.is_(None))
        .where(table.c.manifest_digest.in_(select(entries.c.manifest_digest).where(entries.c.digest == digest)))
        .order_by(table.c.id.desc())
    )
    return list(connection.execute(query).scalars())


def of_manifests(connection: Connection, digests: Iterable[str]) -> list[VersionSummary]:
    """Return a line for every version that has one of these manifests, sorted by name, the latest first."""
    found = [
        version
        for part in manifests.batches(sorted(set(digests)))
        for version in _load(connection, _OF_MANIFESTS, {"digests": part})
    ]
    return sorted(found, key=lambda version: version.name)


def _select() -> Select[Any]:
    named, table, stored = schema.models, schema.versions, schema.manifests
    one = (table.c.id, DEFAULT_ID, named.c.name, table.c.version, table.c.status, table.c.purged_at)
    rest = (table.c.created_at, table.c.source, table.c.manifest_digest, stored.c.size, stored.c.file_count)
    return (
        select(*one, *rest, table.c.card)
        .join_from(named, table, table.c.model_id == named.c.id)
        .join(stored, stored.c.digest == table.c.manifest_digest)
        .outerjoin(schema.listings, schema.listings.c.model_id == named.c.id)
        .where(table.c.removed_at.is_(None))
    )


def _of_model() -> Select[Any]:
    query = _select().where(schema.models.c.name == bindparam("name")).order_by(schema.versions.c.id.desc())
    return query.limit(LIMIT)


def _of_model_before() -> Select[Any]:
    table = schema.versions
    other = table.alias()
    of_same = (other.c.model_id == table.c.model_id, other.c.version == bindparam("before"))
    return _of_model().where(table.c.id < select(other.c.id).where(*of_same).correlate(table).scalar_subquery())


def _of_manifests() -> Select[Any]:
    table = schema.versions
    wanted = table.c.manifest_digest.in_(bindparam("digests", expanding=True))
    return _select().where(wanted).order_by(schema.models.c.name, table.c.id.desc())


#: Statements are made once: making one takes longer than its work in the database.
_OF_MODEL, _OF_MODEL_BEFORE, _OF_MANIFESTS = _of_model(), _of_model_before(), _of_manifests()
_REGISTRIES = select(schema.publications.c.version_id, schema.publications.c.registry).where(
    schema.publications.c.version_id.in_(bindparam("ids", expanding=True))
)


def _load(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> list[VersionSummary]:
    rows = connection.execute(query, values).all()
    registries = _registries(connection, [row.id for row in rows])
    return [_line(row, registries) for row in rows]


def _line(row: Row[Any], registries: Mapping[int, Iterable[str]]) -> VersionSummary:
    # The columns in the order of `_select`: to name each of them takes as long as to read them.
    id_, default_id, name, version, status, purged_at, created_at, source, digest, size, file_count, card = row
    return VersionSummary(
        name=name,
        version=version,
        status=status,
        default=id_ == default_id,
        purged=purged_at is not None,
        created_at=created_at.isoformat(),
        source=source,
        manifest=ManifestSummary(Digest.parse(digest), size, file_count),
        registries=tuple(sorted(registries.get(id_, ()))),
        card=ModelCard.from_json(card),
    )


def _registries(connection: Connection, version_ids: list[int]) -> dict[int, set[str]]:
    found = dict[int, set[str]]()
    for part in manifests.batches(version_ids):
        for row in connection.execute(_REGISTRIES, {"ids": part}):
            found.setdefault(row.version_id, set()).add(row.registry)
    return found
