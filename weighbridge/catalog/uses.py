"""Uses in the catalog: when each version was last asked for, and which versions nobody but the mirror took in.

A use is in no audit log, as it changes nothing that anybody decided. Not here: counting requests (intake.uses), and
what may go because it is not used (intake.caching).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, exists, func, select

from weighbridge.catalog import schema
from weighbridge.catalog.database import Database, insert
from weighbridge.domain.decision import VersionStatus


@dataclass(frozen=True)
class VersionUse:
    """Requests for a version.

    Attributes:
        name: the model's name.
        version: the version's number.
        requests: how many there were.
        used_at: when the last of them came; UTC.
    """

    name: str
    version: str
    requests: int
    used_at: datetime


@dataclass(frozen=True)
class UsedVersion:
    """A version with what is known of its use.

    Attributes:
        name: the model's name.
        version: its number.
        status: of `VersionStatus`.
        source: its pinned URI.
        manifest: the digest of its manifest.
        size: its bytes.
        taken_in_at: when it was taken in, the last time; UTC.
        used_at: when it was last asked for; UTC; None where it never was.
        requests: how many asked for it.
        mirrored: whether the mirror took it in, and nobody ever asked for a version of its model by hand.
        fixed: whether a person chose the default version of its model.
        purged: whether its bytes are not needed any more.
    """

    name: str
    version: str
    status: VersionStatus
    source: str
    manifest: str
    size: int
    taken_in_at: datetime
    used_at: datetime | None
    requests: int
    mirrored: bool
    fixed: bool
    purged: bool

    @property
    def last_use(self) -> datetime:
        """When it was last asked for; where it never was, when it came."""
        return max(self.used_at, self.taken_in_at) if self.used_at else self.taken_in_at


class VersionUses:
    """The uses of a catalog's versions; `Catalog.uses` is one. Its methods raise as the catalog's do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, uses: Iterable[VersionUse]) -> None:
        """Add requests for versions; those of versions that the catalog does not have are dropped."""
        models, versions, table = schema.models, schema.versions, schema.uses
        with self._database.write() as connection:
            for use in sorted(uses, key=lambda one: (one.name, one.version)):  # Two processes lock rows in one order.
                of_version = (models.c.name == use.name, versions.c.version == use.version)
                query = select(versions.c.id).join(models, models.c.id == versions.c.model_id).where(*of_version)
                id_ = connection.execute(query).scalar_one_or_none()
                if id_ is None:
                    continue
                row = {"version_id": id_, "used_at": use.used_at, "requests": use.requests}
                statement = insert(connection, table).values(row)
                new = statement.excluded
                latest = case((new.used_at > table.c.used_at, new.used_at), else_=table.c.used_at)
                changes = {"requests": table.c.requests + new.requests, "used_at": latest}
                connection.execute(statement.on_conflict_do_update(index_elements=["version_id"], set_=changes))

    def versions(self) -> list[UsedVersion]:
        """Return every version of the catalog that was not removed, sorted by name, the latest first."""
        models, versions, table, stored = schema.models, schema.versions, schema.uses, schema.manifests
        attempts = schema.ingests
        led_here = (attempts.c.name == models.c.name, attempts.c.version == versions.c.version)
        mirrored = exists().where(*led_here, attempts.c.cause == "mirror")
        asked_for = exists().where(attempts.c.name == models.c.name, attempts.c.cause.is_(None))
        came = select(func.max(attempts.c.updated_at)).where(*led_here, func.coalesce(attempts.c.cause, "") != "rescan")
        query = (
            select(
                models.c.name,
                *(versions.c.version, versions.c.status, versions.c.source),
                versions.c.manifest_digest,
                stored.c.size,
                versions.c.created_at,
                came.correlate(models, versions).scalar_subquery().label("came_at"),
                *(table.c.used_at, table.c.requests),
                (mirrored & ~asked_for).label("mirrored"),
                models.c.fixed_version_id.is_not(None).label("fixed"),
                versions.c.purged_at.is_not(None).label("purged"),
            )
            .join_from(models, versions, versions.c.model_id == models.c.id)
            .join(stored, stored.c.digest == versions.c.manifest_digest)
            .outerjoin(table, table.c.version_id == versions.c.id)
            .where(versions.c.removed_at.is_(None))
            .order_by(models.c.name, versions.c.id.desc())
        )
        with self._database.read() as connection:
            return [
                UsedVersion(
                    name=row.name,
                    version=row.version,
                    status=row.status,
                    source=row.source,
                    manifest=row.manifest_digest,
                    size=row.size,
                    taken_in_at=row.came_at or row.created_at,
                    used_at=row.used_at,
                    requests=row.requests or 0,
                    mirrored=bool(row.mirrored),
                    fixed=bool(row.fixed),
                    purged=bool(row.purged),
                )
                for row in connection.execute(query)
            ]

    def files(self) -> dict[str, list[str]]:
        """Return the sha256 of every file of each manifest that a version has which was neither removed nor purged."""
        versions, files = schema.versions, schema.files
        alive = (versions.c.removed_at.is_(None), versions.c.purged_at.is_(None))
        of_version = exists().where(versions.c.manifest_digest == files.c.manifest_digest, *alive)
        query = (
            select(files.c.manifest_digest, files.c.digest).where(files.c.digest.is_not(None), of_version).distinct()
        )
        found: dict[str, list[str]] = {}
        with self._database.read() as connection:
            for manifest, digest in connection.execute(query):
                found.setdefault(manifest, []).append(digest)
        return found
