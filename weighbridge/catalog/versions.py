"""Models and their versions in the catalog: settling one, finding them, and which one is the default.

The default version is computed, never stored: the one a user fixed while it is PASSED; when no one is fixed, the newest
PASSED one. Not here: how a verdict (domain.gate) and the next number (domain.next_version) are found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select

from weighbridge.catalog import listings, manifests, publications, reports, schema
from weighbridge.catalog.database import insert
from weighbridge.catalog.listings import DEFAULT_ID, ModelSummary
from weighbridge.domain.access import Role, checked_role, suffices
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import WITHDRAWN, Decision, Reason, VersionStatus
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.names import checked_name
from weighbridge.domain.report import ScanReport
from weighbridge.domain.repositories import repository_at
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import NotInCatalog, NotPermitted, StateConflict

#: Is called with the status that a version will have; what it raises prevents that.
StatusCheck = Callable[[VersionStatus], None]


@dataclass(frozen=True)
class Settlement:
    """The verdict on a manifest of a named model, and what it is based on.

    Attributes:
        name: the model's name.
        source: the pinned URI it came from.
        manifest: computed.
        card: its model card.
        decision: the gate's verdict.
        reports: those that the decision is based on.
    """

    name: str
    source: str
    manifest: Manifest
    card: ModelCard
    decision: Decision
    reports: tuple[ScanReport, ...]


def settle(
    connection: Connection, settlement: Settlement, choose: Callable[[ModelVersion | None], str], now: datetime
) -> tuple[ModelVersion, VersionStatus | None]:
    """Store a new version, or update the one that has this manifest; return it and the status that it had, if any.

    1. The model's row is locked, so that of two processes the second sees the first one's version.
    2. Manifest and reports are stored.
    3. A version of the model with the same manifest gets the new card, decision and reports.
    4. Otherwise a new version gets the number that `choose` gives for the latest one, removed ones included.

    A version that was removed or purged is restored.
    """
    model_id = _lock_model(connection, settlement.name, now)
    digest = manifests.store(connection, settlement.manifest, now)
    reports.add(connection, settlement.reports, now)
    table = schema.versions
    row: dict[str, Any] = {
        "status": settlement.decision.verdict,
        "source": settlement.source,
        "ref": manifests.ref_to_json(settlement.manifest.ref),
        "repository": repository_at(settlement.source) or None,
        "archive": settlement.manifest.archive,
        "card": settlement.card.to_json(),
        "decision": settlement.decision.to_json(),
        "gated": settlement.manifest.gated,
        "removed_at": None,
        "purged_at": None,
        "updated_at": now,
    }
    known = connection.execute(
        select(table.c.id, table.c.status, table.c.withdrawn).where(
            table.c.model_id == model_id, table.c.manifest_digest == digest
        )
    ).one_or_none()
    if known is not None:
        if known.withdrawn is not None:
            row["status"] = "FAILED"
        connection.execute(table.update().where(table.c.id == known.id).values(row))
        version_id = known.id
    else:
        number = choose(latest(connection, settlement.name))
        _refuse_taken(connection, settlement.name, model_id, number)
        row |= {"model_id": model_id, "version": number, "manifest_digest": digest, "created_at": now}
        version_id = _inserted_id(connection.execute(table.insert().values(row)))
    reports.link(connection, version_id, settlement.reports)
    listings.refresh(connection, settlement.name)
    (version,) = _load(connection, _ALL.where(table.c.id == version_id))
    return version, known.status if known is not None else None


def latest(connection: Connection, name: str) -> ModelVersion | None:
    """Return the version that was added last, whatever its status; removed ones count."""
    return _one(connection, _LATEST, name=name)


def shown(connection: Connection, name: str) -> ModelVersion | None:
    """Return the default version, or the latest where there is no default; None for an unknown name."""
    return _one(connection, _SHOWN, name=name)


def get(connection: Connection, name: str, version: str) -> ModelVersion | None:
    """Return one version, or None."""
    return _one(connection, _NUMBERED, name=name, version=version)


def state(connection: Connection, name: str, version: str) -> tuple[VersionStatus, bool] | None:
    """Return the status of a version and whether it is the default one, or None; reads no files and reports."""
    row = connection.execute(_STATE, {"name": name, "version": version}).one_or_none()
    return (row.status, row.id == row.default_id) if row is not None else None


def having(connection: Connection, name: str, manifest_digest: str) -> ModelVersion | None:
    """Return the version of a model that has exactly these files under these names, or None."""
    return _one(connection, _HAVING, name=name, digest=manifest_digest)


def listed(connection: Connection, name: str) -> list[ModelVersion]:
    """Return every version of a model, the latest first."""
    return _load(connection, _LISTED, name=name)


def origins(connection: Connection, name: str) -> set[tuple[str, ...]]:
    """Return the origins of a model's versions, removed ones included."""
    models, table = schema.models, schema.versions
    query = select(table.c.ref).join(models, models.c.id == table.c.model_id).where(models.c.name == name)
    return {manifests.ref_from_json(ref).origin for ref in connection.execute(query).scalars()}


def fix_default(
    connection: Connection, name: str, version: str | None, check: Callable[[ModelSummary], None] | None = None
) -> str | None:
    """Fix the default version, and return the one fixed before; None lets it follow the newest PASSED again.

    What `check` raises, which gets the model's line, prevents the change.

    Raises:
        NotInCatalog: no such version.
        StateConflict: it is not PASSED.
    """
    lock(connection, name)
    model = listings.of_model(connection, name)
    if check is not None and model is not None:
        check(model)
    version_id = None
    if version is not None:
        version_id, status = require(connection, name, version)
        if status != "PASSED":
            raise StateConflict(
                f"{name}@{version} is {status}, so it cannot become the default version.",
                "Only a version that passed the gate can.",
                status=status,
            )
    models, table = schema.models, schema.versions
    fixed = models.outerjoin(table, table.c.id == models.c.fixed_version_id)
    query = select(models.c.id, table.c.version).select_from(fixed).where(models.c.name == name)
    before = connection.execute(query.with_for_update(of=models)).one_or_none()
    if before is None:
        raise _unknown(name, version)
    connection.execute(models.update().where(models.c.id == before.id).values(fixed_version_id=version_id))
    listings.refresh(connection, name)
    return str(before.version) if before.version is not None else None


def withdraw(connection: Connection, name: str, version: str, reason: str, role: Role, now: datetime) -> VersionStatus:
    """Make a version FAILED until `reinstate`, whatever later decisions are, and return the status that it had.

    Where it is withdrawn already, on the word of a higher role, that stays with its reason.

    Raises:
        NotInCatalog: no such version.
    """
    lock(connection, name)
    version_id, before = require(connection, name, version, hold=True)
    table = schema.versions
    row = connection.execute(select(table.c.withdrawn, table.c.withdrawn_role).where(table.c.id == version_id)).one()
    needed = _withdrawer(row)
    if needed is None or suffices(role, needed):
        values = {"status": "FAILED", "withdrawn": reason, "withdrawn_role": role, "updated_at": now}
        connection.execute(table.update().where(table.c.id == version_id).values(values))
        listings.refresh(connection, name)
    return before


def withdrawals(connection: Connection, name: str) -> dict[str, Role]:
    """Return the numbers of a model's withdrawn versions, each with the role that takes the withdrawal back."""
    models, table = schema.models, schema.versions
    query = select(table.c.version, table.c.withdrawn, table.c.withdrawn_role)
    query = query.join(models, models.c.id == table.c.model_id).where(models.c.name == name)
    found = ((row.version, _withdrawer(row)) for row in connection.execute(query))
    return {number: role for number, role in found if role is not None}


def reinstate(
    connection: Connection, name: str, version: str, role: Role, now: datetime
) -> tuple[VersionStatus, VersionStatus]:
    """Take a withdrawal back: the status is the last decision's verdict again. Returns the statuses before and after.

    Raises:
        NotInCatalog: no such version.
        NotPermitted: it was withdrawn on the word of a higher role.
        StateConflict: its bytes were removed.
    """
    lock(connection, name)
    version_id, before = require(connection, name, version, hold=True)
    table = schema.versions
    columns = (table.c.decision, table.c.purged_at, table.c.withdrawn, table.c.withdrawn_role)
    row = connection.execute(select(*columns).where(table.c.id == version_id)).one()
    needed = _withdrawer(row)
    if needed is not None and not suffices(role, needed):
        raise NotPermitted(
            f"{name} {version} was withdrawn by somebody with the role {needed}, and takes that role to come back.",
            f"Ask one of them. `weighbridge history {name}` says who withdrew it.",
            name=name,
            version=version,
        )
    if row.purged_at is not None:
        raise StateConflict(
            f"The bytes of {name} {version} were removed, so that it cannot be given out again.",
            "Take the model in again.",
            name=name,
            version=version,
        )
    after: VersionStatus = row.decision["verdict"]
    values = {"status": after, "withdrawn": None, "withdrawn_role": None, "updated_at": now}
    connection.execute(table.update().where(table.c.id == version_id).values(values))
    listings.refresh(connection, name)
    return before, after


def require(
    connection: Connection, name: str, version: str, *, hold: bool = False, removed: bool = False
) -> tuple[int, VersionStatus]:
    """Return the row id and the status of a version; `hold` locks the row until the transaction ends.

    Removed versions count only with `removed`.

    Raises:
        NotInCatalog: no such version.
    """
    models, table = schema.models, schema.versions
    query = (
        select(table.c.id, table.c.status)
        .join(models, models.c.id == table.c.model_id)
        .where(models.c.name == name, table.c.version == version)
    )
    query = query if removed else query.where(table.c.removed_at.is_(None))
    row = connection.execute(query.with_for_update(of=table) if hold else query).one_or_none()
    if row is None:
        raise _unknown(name, version)
    return row.id, row.status


def lock(connection: Connection, name: str) -> None:
    """Lock a model until the transaction ends: what changes a model or its versions takes turns, in this order."""
    models = schema.models
    connection.execute(select(models.c.id).where(models.c.name == name).with_for_update())


def _lock_model(connection: Connection, name: str, now: datetime) -> int:
    models = schema.models
    connection.execute(
        insert(connection, models).values(name=checked_name(name), created_at=now).on_conflict_do_nothing()
    )
    return int(connection.execute(select(models.c.id).where(models.c.name == name).with_for_update()).scalar_one())


def _refuse_taken(connection: Connection, name: str, model_id: int, number: str) -> None:
    table = schema.versions
    query = select(table.c.id).where(table.c.model_id == model_id, table.c.version == number)
    if connection.execute(query).first() is not None:
        raise StateConflict(
            f"{name}@{number} exists already, with other files.",
            "A version never changes its files: choose another number.",
            version=number,
        )


def _select(*columns: Any) -> Select[Any]:
    models, table, listed = schema.models, schema.versions, schema.listings
    query = select(*columns, DEFAULT_ID).join_from(models, table, table.c.model_id == models.c.id)
    return query.outerjoin(listed, listed.c.model_id == models.c.id)


#: Statements are made once: making one takes longer than its work in the database.
_ALL = _select(schema.models.c.name, schema.versions)
_NAMED, _PRESENT = schema.models.c.name == bindparam("name"), schema.versions.c.removed_at.is_(None)
_OF_MODEL = _ALL.where(_NAMED, _PRESENT)
_NUMBER = schema.versions.c.version == bindparam("version")
_NUMBERED = _OF_MODEL.where(_NUMBER)
_HAVING = _OF_MODEL.where(schema.versions.c.manifest_digest == bindparam("digest"))
_SHOWN = _OF_MODEL.where(schema.versions.c.id == schema.listings.c.version_id)
_LISTED = _OF_MODEL.order_by(schema.versions.c.id.desc())
_LATEST = _ALL.where(_NAMED).order_by(schema.versions.c.id.desc()).limit(1)
_STATE = _select(schema.versions.c.id, schema.versions.c.status).where(_NAMED, _NUMBER, _PRESENT)


def _one(connection: Connection, query: Select[Any], **values: str) -> ModelVersion | None:
    found = _load(connection, query, **values)
    return found[0] if found else None


def _load(connection: Connection, query: Select[Any], **values: str) -> list[ModelVersion]:
    rows = connection.execute(query, values).all()
    ids = [row.id for row in rows]
    files = manifests.load(connection, (row.manifest_digest for row in rows))
    reports_by_id = reports.linked(connection, ids)
    places = publications.by_version(connection, ids)
    return [
        ModelVersion(
            name=row.name,
            version=row.version,
            status=row.status,
            source=row.source,
            manifest=manifests.assemble(row.manifest_digest, row.ref, files[row.manifest_digest], row.archive),
            card=ModelCard.from_json(row.card),
            decision=_decision(row),
            reports=reports_by_id[row.id],
            published=places[row.id],
            created_at=row.created_at.isoformat(),
            default=row.id == row.default_id,
            purged=row.purged_at is not None,
        )
        for row in rows
    ]


def _decision(row: Row[Any]) -> Decision:
    decision = Decision.from_json(row.decision)
    if row.withdrawn is None:
        return decision
    reason = Reason("reject", WITHDRAWN, row.withdrawn)
    return replace(decision, verdict="FAILED", reasons=(reason, *decision.reasons))


def _withdrawer(row: Row[Any]) -> Role | None:
    """Return the role that takes a version's withdrawal back; None where it is not withdrawn."""
    if row.withdrawn is None:
        return None
    return checked_role(row.withdrawn_role) if row.withdrawn_role is not None else "admin"


def _inserted_id(result: Any) -> int:
    key: Sequence[Any] = result.inserted_primary_key
    return int(key[0])


def _unknown(name: str, version: str | None) -> NotInCatalog:
    what = f"{name}@{version}" if version else name
    return NotInCatalog(f"The catalog knows no {what}.", "See weighbridge list.", name=name, version=version)
