"""Recalls in the catalog: versions that are judged again from stored facts, and what is still to be taken back.

A decision is stored only if nothing changed the version since it was read, so that of two judgements at once the second
one judges again. Not here: the judgement (domain.gate), and registries (intake.recalling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from weighbridge.catalog import listings, publications, reports, schema, versions
from weighbridge.catalog.changes import Changes, Transaction
from weighbridge.catalog.publications import RegistryPlace
from weighbridge.catalog.versions import Settlement
from weighbridge.domain.audit import RECALLED
from weighbridge.domain.decision import Decision, VersionStatus
from weighbridge.domain.digest import Digest
from weighbridge.domain.report import ScanReport
from weighbridge.domain.version import ModelVersion

#: The actions of rows that say that every version was judged again, and that a part of them was.
_APPLIED, _APPLYING = "policy.applied", "policy.applying"


@dataclass(frozen=True)
class Candidate:
    """A version that is judged again, as it was when it was read.

    Attributes:
        id: of its row; versions that were added later have higher ones.
        version: the version.
        withdrawn: whether a person withdrew it, so that it stays FAILED whatever the verdict is.
        changed_at: when it was last changed.
        stored: every report about its files, in the order in which they came.
    """

    id: int
    version: ModelVersion
    withdrawn: bool
    changed_at: datetime
    stored: tuple[ScanReport, ...]


@dataclass(frozen=True)
class UnevenVersion:
    """A version whose registries are not what the catalog says.

    Attributes:
        name: the model's name.
        version: its number; it may have been removed.
        status: of the version.
        places: where it has to be taken back, or where its upload did not end.
    """

    name: str
    version: str
    status: VersionStatus
    places: tuple[RegistryPlace, ...]


@dataclass(frozen=True)
class PolicyPass:
    """How far a call came that judges every version again.

    Attributes:
        after: the id of the last version's row.
        versions: how many were judged.
        withdrawn: how many of them had passed and do not any more.
        reinstated: how many pass that did not.
    """

    after: int = 0
    versions: int = 0
    withdrawn: int = 0
    reinstated: int = 0


def record_verdict(
    change: Transaction, which: str, before: VersionStatus | None, after: VersionStatus, settlement: Settlement
) -> None:
    """Record a verdict on a version in the audit log, and the recall where it had passed until now.

    Args:
        change: the transaction that stores it.
        which: `name@version`.
        before: the status that the version had; None where it is new.
        after: the status that it has.
        settlement: the verdict, and what it is based on.
    """
    decision = settlement.decision
    change.record(
        "version.settled",
        which,
        before={"status": before} if before else None,
        after={"status": after, "manifest": str(settlement.manifest.digest), "policy": decision.policy},
    )
    if before == "PASSED" and after != "PASSED":
        model = listings.of_model(change.connection, settlement.name)
        default = model.version if model is not None and model.default else ""
        facts = {"status": after, "policy": decision.policy, "policy_digest": decision.policy_digest}
        change.record(RECALLED, which, before={"status": before}, after={**facts, "default": default})


class Recalls:
    """The versions that are judged again; `Catalog.recalls` is one. Its methods raise as the catalog's do."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def candidate(self, name: str, number: str) -> Candidate | None:
        """Return a version with all that is known of its files, or None."""
        models, table = schema.models, schema.versions
        query = select(table.c.id).join(models, models.c.id == table.c.model_id)
        query = query.where(models.c.name == name, table.c.version == number, table.c.removed_at.is_(None))
        with self._database.read() as connection:
            id_ = connection.execute(query).scalar_one_or_none()
            return _candidates(connection, [id_])[0] if id_ is not None else None

    def candidates(self, after: int = 0, limit: int = 50) -> list[Candidate]:
        """Return the versions with higher ids than `after`, in order, as many at most; no removed ones."""
        table = schema.versions
        query = select(table.c.id).where(table.c.id > after, table.c.removed_at.is_(None))
        with self._database.read() as connection:
            return _candidates(connection, list(connection.execute(query.order_by(table.c.id).limit(limit)).scalars()))

    def settle(
        self, candidate: Candidate, decision: Decision, facts: Sequence[ScanReport]
    ) -> tuple[VersionStatus, VersionStatus] | None:
        """Store a decision on a version, and return the status before and after.

        Returns:
            None where the version was changed or removed since it was read: nothing was stored.
        """
        version, table = candidate.version, schema.versions
        with self._changes.begin() as change:
            versions.lock(change.connection, version.name)
            query = select(table.c.status, table.c.updated_at, table.c.withdrawn)
            query = query.where(table.c.id == candidate.id, table.c.removed_at.is_(None)).with_for_update()
            row = change.connection.execute(query).one_or_none()
            if row is None or row.updated_at != candidate.changed_at:
                return None
            after: VersionStatus = decision.verdict if row.withdrawn is None else "FAILED"
            values = {"status": after, "decision": decision.to_json(), "updated_at": change.now}
            change.connection.execute(table.update().where(table.c.id == candidate.id).values(values))
            reports.link(change.connection, candidate.id, facts)
            listings.refresh(change.connection, version.name)
            settlement = Settlement(
                version.name, version.source, version.manifest, version.card, decision, tuple(facts)
            )
            record_verdict(change, f"{version.name}@{version.version}", row.status, after, settlement)
            return row.status, after

    def count(self, after: int = 0) -> int:
        """Return how many versions `candidates` returns in all."""
        table = schema.versions
        query = select(func.count()).where(table.c.id > after, table.c.removed_at.is_(None))
        with self._database.read(single=True) as connection:
            return int(connection.execute(query).scalar_one())

    def note_pass(self, policy: str, digest: str, done: PolicyPass, *, ended: bool = False) -> None:
        """Record how far a call came that judges every version again under a policy."""
        with self._changes.begin() as change:
            change.record(_APPLIED if ended else _APPLYING, f"policy:{policy}", after={"digest": digest, **vars(done)})

    def unfinished_pass(self, digest: str, since: datetime) -> PolicyPass | None:
        """Return how far the last call came, where it was under that policy, began since then, and did not end."""
        table, rows = schema.audit, []
        with self._database.read() as connection:
            for action in (_APPLIED, _APPLYING):  # Each has an index; both together would go through the log.
                query = select(table).where(table.c.action == action).order_by(table.c.number.desc()).limit(1)
                rows += connection.execute(query).all()
        row = max(rows, key=lambda one: int(one.number), default=None)
        if row is None or row.action == _APPLIED or row.at < since or row.after["digest"] != digest:
            return None
        return PolicyPass(**{name: value for name, value in row.after.items() if name != "digest"})

    def uneven(self) -> list[UnevenVersion]:
        """Return what registries still have that did not pass, and uploads that did not end, in order of the names."""
        models, table = schema.models, schema.versions
        published, uploads = schema.publications, schema.uploads
        somewhere = table.c.id.in_(select(uploads.c.version_id))
        to_withdraw = (table.c.status != "PASSED") & table.c.id.in_(select(published.c.version_id))
        query = select(table.c.id, models.c.name, table.c.version, table.c.status)
        query = query.join(models, models.c.id == table.c.model_id).where(somewhere | to_withdraw)
        now = self._changes.clock()
        with self._database.read() as connection:
            return [
                UnevenVersion(row.name, row.version, row.status, tuple(publications.places(connection, row.id, now)))
                for row in connection.execute(query.order_by(models.c.name, table.c.id)).all()
            ]


def _candidates(connection: Connection, ids: Sequence[int]) -> list[Candidate]:
    if not ids:
        return []
    table, found = schema.versions, versions.by_ids(connection, ids)
    digests = {one.digest for version in found.values() for one in version.manifest.files if one.digest is not None}
    by_digest: dict[Digest, list[ScanReport]] = {}
    for report in reports.arrived(connection, digests):
        by_digest.setdefault(report.digest, []).append(report)
    rows = connection.execute(select(table.c.id, table.c.updated_at, table.c.withdrawn).where(table.c.id.in_(ids)))
    return [
        Candidate(row.id, found[row.id], row.withdrawn is not None, row.updated_at, _about(found[row.id], by_digest))
        for row in sorted(rows, key=lambda row: int(row.id))
    ]


def _about(version: ModelVersion, by_digest: dict[Digest, list[ScanReport]]) -> tuple[ScanReport, ...]:
    digests = dict.fromkeys(one.digest for one in version.manifest.files if one.digest is not None)
    return tuple(report for digest in digests for report in by_digest.get(digest, ()))
