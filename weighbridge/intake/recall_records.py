"""Records of recalls: what was taken back, from where, and who was given it; read from the catalog and its logs.

Not here: taking a version back (intake.recalling).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from weighbridge.catalog import Catalog
from weighbridge.domain.audit import EXPOSED, RECALLED, SERVED, AuditRow
from weighbridge.domain.decision import WITHDRAWN
from weighbridge.domain.recalls import Recall, RecallRecord
from weighbridge.domain.receipts import Recipient, recipients_of
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import CatalogError
from weighbridge.intake.lookup import not_there

_WITHDRAWN = f"version.{WITHDRAWN}"
#: Rows of one action that are read at once.
_PART = 1000


def recalls(catalog: Catalog, limit: int = 100) -> list[Recall]:
    """Return the newest recalls, the newest first, each version once.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    rows = [row for action in (RECALLED, _WITHDRAWN) for row in catalog.audit.newest(limit, action=action)]
    newest = {row.object: row for row in sorted(rows, key=lambda row: row.number)}
    wanted = sorted(newest.values(), key=lambda row: -row.number)[:limit]
    return [_recall(*_parts(row.object), row, catalog) for row in wanted]


def recall_record(name: str, number: str, catalog: Catalog) -> RecallRecord:
    """Return what is known of a version that was recalled, or may have to be: where it is, and who has it.

    Raises:
        NotInCatalog: there was never such a version.
        CatalogError: the catalog cannot be read.
    """
    which = f"{name}@{number}"
    rows = [row for action in (RECALLED, _WITHDRAWN) if (row := catalog.audit.last(which, action))]
    newest = max(rows, key=lambda row: row.number, default=None)
    version = catalog.get(name, number)
    if version is None and catalog.audit.last(which, "version.settled") is None:
        raise not_there(name, number)
    return RecallRecord(_recall(name, number, newest, catalog), tuple(_recipients(name, number, version, catalog)))


def _parts(object_: str) -> tuple[str, str]:
    name, _, number = object_.rpartition("@")
    return name, number


def _recall(name: str, number: str, row: AuditRow | None, catalog: Catalog) -> Recall:
    version, model = catalog.get(name, number), catalog.lists.model(name)
    later = list(_after(f"{name}@{number}", row, catalog)) if row is not None else []
    back = next((one for one in later if dict(one.after or {}).get("status") == "PASSED"), None)
    gone = [dict(one.before or {}) for one in later if one.action == "version.unpublished"]
    cause = ("verdict" if row.action == RECALLED else "person") if row is not None else ""
    return Recall(
        name=name,
        version=number,
        status=version.status if version is not None else "REMOVED",
        cause=cause,  # type: ignore[arg-type]
        recalled_at=_text(row.at) if row is not None else "",
        actor=row.actor if row is not None else "",
        reasons=_reasons(version),
        policy=version.decision.policy if version is not None else "",
        default=model.version if model is not None and model.default else "",
        withdrawn_from=tuple(dict.fromkeys(_place(one.get("registry"), one.get("address")) for one in gone)),
        left=_left(name, number, version, catalog),
        ended_at=_text(back.at) if back is not None else "",
    )


def _after(which: str, row: AuditRow, catalog: Catalog) -> Iterable[AuditRow]:
    """Yield what happened to a version after a row, in order, without who was served."""
    for action in ("version.unpublished", "version.settled", "version.reinstated"):
        yield from catalog.audit.rows(after=row.number, object_=which, action=action)


def _reasons(version: ModelVersion | None) -> tuple[str, ...]:
    if version is None:
        return ()
    rejecting = [one for one in version.decision.reasons if one.effect == "reject"]
    return tuple(f"{one.path}: {one.message}" if one.path else one.message for one in rejecting)


def _left(name: str, number: str, version: ModelVersion | None, catalog: Catalog) -> tuple[str, ...]:
    if version is not None and version.status == "PASSED":
        return ()
    try:
        places = catalog.places.of(name, number)
    except CatalogError:
        return ()
    return tuple(_place(place.registry, place.address) for place in places)


def _place(registry: object, address: object) -> str:
    return f"{registry} at {address or 'its usual place'}"


def _recipients(name: str, number: str, version: ModelVersion | None, catalog: Catalog) -> list[Recipient]:
    """Return who was given files: by the receipts of transfers, and by the audit log, which has each before its first.

    A caller with a key is in the audit log once a day, at the first address; what the receipts have of the caller
    counts for all addresses.
    """
    sizes = {one.path: one.size or 0 for one in version.manifest.files} if version is not None else {}
    known = recipients_of(catalog.receipts.of(name, number), sizes)
    actors, places = {one.actor for one in known}, {(one.actor, one.address) for one in known}
    further: dict[tuple[str, str, bool], Recipient] = {}
    for row in _rows(f"{name}@{number}", catalog):
        after = dict(row.after or {})
        address, early = str(after.get("address", "")), row.action == EXPOSED or "commit" in after
        is_known = (row.actor, address) in places or (row.actor in actors and row.actor != "anonymous")
        if early or not is_known:
            key, at = (row.actor, address, early), _text(row.at)
            earlier = further.get(key)
            files = {*(earlier.parts if earlier else ()), *map(str, after.get("files", ()))}
            first = earlier.first_at if earlier else at
            further[key] = Recipient(
                row.actor, address, first, at, early, parts=tuple(sorted(files)), paths_known=bool(files)
            )
    return sorted([*known, *further.values()], key=lambda one: (one.actor, one.address, one.before_verdict))


def _rows(which: str, catalog: Catalog) -> Iterable[AuditRow]:
    for action in (SERVED, EXPOSED):
        after = 0
        while rows := catalog.audit.rows(after=after, limit=_PART, object_=which, action=action):
            yield from rows
            after = rows[-1].number


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
