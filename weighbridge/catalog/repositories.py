"""What the catalog has of the repositories of a Hub: their versions, whatever the models are called here, and attempts.

Not here: what the Hub says of its repositories (catalog.hub_models).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, func, select

from weighbridge.catalog import ingests, schema
from weighbridge.catalog.database import Database
from weighbridge.catalog.ingests import Ingest
from weighbridge.catalog.listings import DEFAULT_ID
from weighbridge.catalog.manifests import batches
from weighbridge.domain.decision import Decision, VersionStatus
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import WeighbridgeError


@dataclass(frozen=True, slots=True)
class RepositoryVersion:
    """A version that came from a repository of a Hub.

    Attributes:
        repository: case folded: `org/name`.
        name: of the model here.
        version: its number.
        status: of `VersionStatus`.
        withdrawn: why a person withdrew it; empty where nobody did.
        reason: the first one for which the gate rejected it; empty where it did not.
        default: whether people get it who name no version.
        commit: of the repository; empty where the source names none.
    """

    repository: str
    name: str
    version: str
    status: VersionStatus
    withdrawn: str
    reason: str
    default: bool
    commit: str


class Repositories:
    """Questions about repositories; `Catalog.repositories` is one. Its methods raise as the catalog's do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def versions(self, repositories: Iterable[str]) -> list[RepositoryVersion]:
        """Return the versions of repositories, given as `org/name` in any case of letters, the latest first."""
        wanted = sorted({name.casefold() for name in repositories})
        with self._database.read() as connection:
            rows = [
                row for part in batches(wanted) for row in connection.execute(_VERSIONS, {"repositories": part}).all()
            ]
        return [_version(row) for row in rows]

    def attempts(self, names: Collection[str]) -> dict[str, Ingest]:
        """Return the newest attempt to take in each model of these names, by the name."""
        with self._database.read() as connection:
            return {
                row.name: ingests.of_row(row)
                for part in batches(sorted(set(names)))
                for row in connection.execute(_ATTEMPTS, {"names": part}).all()
            }


def _version(row: Row[Any]) -> RepositoryVersion:
    decision = Decision.from_json(row.decision)
    reason = next((one for one in decision.reasons if one.effect == "reject"), None)
    return RepositoryVersion(
        repository=row.repository,
        name=row.name,
        version=row.version,
        status=row.status,
        withdrawn=row.withdrawn or "",
        reason=f"{reason.rule}: {reason.message}" if reason else "",
        default=row.id == row.default_id,
        commit=_commit(row.source),
    )


def _commit(source: str) -> str:
    try:
        ref = ModelRef.parse(source)
        upstream = ref.option("upstream")
        return (ModelRef.parse(upstream[0]) if upstream else ref).revision
    except WeighbridgeError:
        return ""


_TABLE, _MODELS, _LISTINGS, _INGESTS = schema.versions, schema.models, schema.listings, schema.ingests
_COLUMNS = (_TABLE.c.id, _TABLE.c.version, _TABLE.c.status, _TABLE.c.withdrawn, _TABLE.c.decision, _TABLE.c.source)
#: Statements are made once: making one takes longer than its work in the database.
_VERSIONS = (
    select(_TABLE.c.repository, _MODELS.c.name, *_COLUMNS, DEFAULT_ID)
    .join_from(_TABLE, _MODELS, _MODELS.c.id == _TABLE.c.model_id)
    .outerjoin(_LISTINGS, _LISTINGS.c.model_id == _MODELS.c.id)
    .where(_TABLE.c.repository.in_(bindparam("repositories", expanding=True)), _TABLE.c.removed_at.is_(None))
    .order_by(_TABLE.c.id.desc())
)
_NEWEST = (
    select(func.max(_INGESTS.c.id))
    .where(_INGESTS.c.name.in_(bindparam("names", expanding=True)))
    .group_by(_INGESTS.c.name)
)
_ATTEMPTS = select(_INGESTS).where(_INGESTS.c.id.in_(_NEWEST))
