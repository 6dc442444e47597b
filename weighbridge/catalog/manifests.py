"""Manifests in the catalog, each stored once by its digest, and the resolutions that lead to them.

A stored manifest is its files' paths, sizes and digests: the input of its digest. The reference and the kind of archive
are stored with what uses it (a version, a resolution); `FileEntry.version` and `locator` are not stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, select

from weighbridge.catalog import schema
from weighbridge.catalog.database import insert
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import CatalogError

T = TypeVar("T")

#: Values one statement may carry: SQLite's limit is 32,766, and PostgreSQL plans long lists slowly.
BATCH = 500
_FILES = (
    select(schema.files)
    .where(schema.files.c.manifest_digest.in_(bindparam("digests", expanding=True)))
    .order_by(schema.files.c.path)
)


def store(connection: Connection, manifest: Manifest, now: datetime) -> str:
    """Store a manifest unless it is stored already, and return its digest as text."""
    digest = str(manifest.digest)
    row = {"digest": digest, "size": manifest.size, "file_count": len(manifest.files), "created_at": now}
    statement = insert(connection, schema.manifests).values(row).on_conflict_do_nothing()
    added = connection.execute(statement.returning(schema.manifests.c.digest)).first()
    for batch in batches(manifest.files) if added is not None else ():
        rows = [
            {
                "manifest_digest": digest,
                "path": entry.path,
                "size": entry.size,
                "digest": str(entry.digest) if entry.digest else None,
            }
            for entry in batch
        ]
        connection.execute(schema.files.insert(), rows)
    return digest


def load(connection: Connection, digests: Iterable[str]) -> dict[str, tuple[FileEntry, ...]]:
    """Return the files of each stored manifest among `digests`."""
    found: dict[str, list[FileEntry]] = {}
    for batch in batches(sorted(set(digests))):
        found |= {digest: [] for digest in batch}
        for row in connection.execute(_FILES, {"digests": batch}):
            digest = Digest.parse(row.digest) if row.digest else None
            found[row.manifest_digest].append(FileEntry(row.path, row.size, digest))
    return {digest: tuple(entries) for digest, entries in found.items()}


def assemble(digest: str, ref: Mapping[str, Any], entries: tuple[FileEntry, ...], archive: str) -> Manifest:
    """Build a manifest from its parts.

    Raises:
        CatalogError: the parts no longer have that digest: the database was changed or damaged.
    """
    manifest = Manifest(ref_from_json(ref), entries, archive)
    if str(manifest.digest) != digest:
        raise CatalogError(
            f"The files that the catalog keeps for the manifest {digest} are not that manifest's.",
            "Its database was changed by something else or is damaged: restore it from a backup.",
            expected=digest,
            actual=str(manifest.digest),
        )
    return manifest


def remember(
    connection: Connection, fingerprint: str, manifest: Manifest, dropped: tuple[str, ...], now: datetime
) -> str | None:
    """Record the computed manifest of a declared one by its fingerprint, and return the digest recorded before."""
    table = schema.resolutions
    query = select(table.c.manifest_digest).where(table.c.fingerprint == fingerprint)
    before: str | None = connection.execute(query).scalar_one_or_none()
    row = {
        "fingerprint": fingerprint,
        "manifest_digest": store(connection, manifest, now),
        "ref": ref_to_json(manifest.ref),
        "archive": manifest.archive,
        "dropped": list(dropped),
        "remembered_at": now,
    }
    statement = insert(connection, table).values(row)
    changes = {name: value for name, value in row.items() if name != "fingerprint"}
    connection.execute(statement.on_conflict_do_update(index_elements=["fingerprint"], set_=changes))
    return before


def recall(connection: Connection, fingerprint: str) -> Manifest | None:
    """Return the computed manifest of a declared one, or None."""
    table = schema.resolutions
    row = connection.execute(select(table).where(table.c.fingerprint == fingerprint)).one_or_none()
    if row is None:
        return None
    entries = load(connection, [row.manifest_digest])[row.manifest_digest]
    return assemble(row.manifest_digest, row.ref, entries, row.archive)


def holding(connection: Connection, digest: str) -> list[Manifest]:
    """Return every recorded manifest that has a file of that digest, the newest record first."""
    table, files = schema.resolutions, schema.files
    query = (
        select(table)
        .where(table.c.manifest_digest.in_(select(files.c.manifest_digest).where(files.c.digest == digest)))
        .order_by(table.c.remembered_at.desc(), table.c.fingerprint)
    )
    rows = connection.execute(query).all()
    entries = load(connection, (row.manifest_digest for row in rows))
    return [assemble(row.manifest_digest, row.ref, entries[row.manifest_digest], row.archive) for row in rows]


def settled(connection: Connection, fingerprints: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return, by model name and fingerprint, the number of the version that has these files."""
    resolutions, versions, models = schema.resolutions, schema.versions, schema.models
    joined = resolutions.join(versions, resolutions.c.manifest_digest == versions.c.manifest_digest).join(
        models, models.c.id == versions.c.model_id
    )
    found: dict[tuple[str, str], str] = {}
    for batch in batches(sorted(set(fingerprints))):
        wanted = select(models.c.name, resolutions.c.fingerprint, versions.c.version).select_from(joined)
        present = (resolutions.c.fingerprint.in_(batch), versions.c.removed_at.is_(None))
        rows = connection.execute(wanted.where(*present))
        found |= {(row.name, row.fingerprint): row.version for row in rows}
    return found


def dropped(connection: Connection, fingerprint: str) -> tuple[str, ...]:
    """Return the declared paths that do not belong to the model."""
    table = schema.resolutions
    found = connection.execute(select(table.c.dropped).where(table.c.fingerprint == fingerprint)).scalar_one_or_none()
    return tuple(found or ())


def ref_to_json(ref: ModelRef) -> dict[str, Any]:
    """Return a reference as plain JSON."""
    return {"kind": ref.kind, "id": ref.id, "revision": ref.revision, "options": [list(pair) for pair in ref.options]}


def ref_from_json(value: Mapping[str, Any]) -> ModelRef:
    """Read what `ref_to_json` wrote."""
    options = tuple((name, option) for name, option in value["options"])
    return ModelRef(value["kind"], value["id"], value["revision"], options)


def batches(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """Yield the values in parts short enough for one statement."""
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]
