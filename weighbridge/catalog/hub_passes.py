"""Passes over the Hub's list: which one runs, who works at it, where it goes on, and what its end means.

Not here: the pages' models (catalog.hub_pages).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update

from weighbridge.catalog import hub_tables
from weighbridge.catalog.hub_tables import stamp
from weighbridge.domain.hub_models import HubField, HubPass, PassKind
from weighbridge.errors import CatalogError, CatalogUnavailable, ChangedMeanwhile

#: How long a process counts as alive after its last page: it may wait five minutes for the Hub's next window.
LEASE = timedelta(minutes=10)
#: How old a pass may be that is resumed: a list that began earlier would mix what the Hub said then and now.
MOST_AGE = timedelta(days=3)
#: An end that would mark half of at least so many models as vanished is an error of the list.
_MANY = 1000
_table = hub_tables.passes
_FIELDS = tuple(HubPass.__dataclass_fields__)


def begin(connection: Connection, kind: PassKind, selection: str, owner: str, at: datetime) -> HubPass:
    """Return the pass of a kind and a selection that is not at its end, or a new one, with the lease on it.

    Raises:
        CatalogUnavailable: another process works at it.
    """
    same = (_table.c.kind == kind, _table.c.selection == selection)
    unended = (*same, _table.c.ended_at.is_(None), _table.c.given_up_at.is_(None))
    row = connection.execute(select(_table).where(*unended).order_by(_table.c.number.desc()).limit(1)).one_or_none()
    lease = {"owner": owner, "lease_until": at + LEASE}
    if row is not None:
        if row.owner not in ("", owner) and row.lease_until is not None and row.lease_until > at:
            raise CatalogUnavailable(
                f"Another process works at this refresh of the Hub's catalogue: {row.owner}, until it has been silent "
                f"until {row.lease_until:%H:%M:%S} UTC.",
                "Wait until it is done; the refresh is a common one.",
                number=row.number,
                owner=row.owner,
                lease_until=row.lease_until.isoformat(),
            )
        if row.begun_at > at - MOST_AGE:
            connection.execute(update(_table).where(_table.c.number == row.number).values(lease))
            return _pass(row)
        connection.execute(update(_table).where(_table.c.number == row.number).values(given_up_at=at, owner=""))
    number = (connection.execute(select(func.max(_table.c.number))).scalar() or 0) + 1
    begun = HubPass(number, kind, selection, at)
    connection.execute(insert(_table).values(**{name: getattr(begun, name) for name in _FIELDS}, **lease))
    return begun


def working_at(connection: Connection, number: int, owner: str) -> HubPass:
    """Return a pass that a process still works at.

    Raises:
        CatalogError: there is no such pass.
        ChangedMeanwhile: it has ended, or another process took it over.
    """
    row = connection.execute(select(_table).where(_table.c.number == number)).one_or_none()
    if row is None:
        raise CatalogError(f"The Hub's catalogue has no refresh number {number}.", "Begin a refresh.", number=number)
    if row.ended_at is not None or row.given_up_at is not None or row.owner != owner:
        raise ChangedMeanwhile(
            f"The refresh number {number} of the Hub's catalogue has ended, or another process goes on with it.",
            "Begin again: what was listed is kept.",
            number=number,
            owner=row.owner,
        )
    return _pass(row)


def add_page(connection: Connection, before: HubPass, page: HubPass, at: datetime) -> None:
    """Store how far a pass came, and renew its lease."""
    changed = {name: getattr(page, name) for name in _FIELDS if getattr(page, name) != getattr(before, name)}
    values = {**changed, "lease_until": at + LEASE}
    connection.execute(update(_table).where(_table.c.number == page.number).values(values))


def finish(connection: Connection, ended: HubPass, at: datetime) -> HubPass:
    """End a pass; a full one marks what it did not see."""
    if ended.kind is PassKind.FULL:
        ended = replace(ended, vanished=_mark_vanished(connection, ended.begun_at, at))
    ended = replace(ended, ended_at=at, cursor="")
    values: dict[str, Any] = {name: getattr(ended, name) for name in _FIELDS}
    connection.execute(update(_table).where(_table.c.number == ended.number).values(**values, owner=""))
    return ended


def release(connection: Connection, number: int, owner: str) -> None:
    """Give the lease on a pass back."""
    mine = (_table.c.number == number, _table.c.owner == owner)
    connection.execute(update(_table).where(*mine).values(owner="", lease_until=None))


def newest(connection: Connection) -> dict[PassKind | None, HubPass]:
    """Return the last ended pass of each kind, and under None the one that is not at its end."""
    ended = select(func.max(_table.c.number)).where(_table.c.ended_at.is_not(None)).group_by(_table.c.kind)
    running = select(func.max(_table.c.number)).where(_table.c.ended_at.is_(None), _table.c.given_up_at.is_(None))
    rows = connection.execute(select(_table).where(_table.c.number.in_(ended) | _table.c.number.in_(running)))
    passes = [_pass(row) for row in rows]
    return {(one.kind if one.ended_at is not None else None): one for one in passes}


def _pass(row: Any) -> HubPass:
    values = {name: getattr(row, name) for name in _FIELDS}
    return HubPass(**{**values, "kind": PassKind(row.kind)})


def _mark_vanished(connection: Connection, begun_at: datetime, at: datetime) -> int:
    """Mark what was not seen since a time, with its history, and return how many models that are.

    Raises:
        CatalogError: it would be most of them, so that the list cannot have been whole.
    """
    unseen = "f.seen_at < :begun AND f.vanished_at IS NULL"
    parameters = {"begun": stamp(begun_at), "at": stamp(at)}
    totals = connection.execute(select(hub_tables.totals)).one()
    query = f"SELECT count(*) FROM hub_figures f WHERE {unseen}"  # noqa: S608
    count = int(connection.execute(text(query), parameters).scalar_one())
    if count > totals.models // 2 and totals.models >= _MANY:
        raise CatalogError(
            f"The Hub's list ended without {count:,} of the {totals.models:,} models that are known, so that it cannot "
            "have been whole. None of them was marked as vanished.",
            "Run the refresh again; if it stays so, the address of the Hub may be that of another one.",
            missing=count,
        )
    if not count:
        return 0
    history = (
        "INSERT INTO hub_changes (number, id, field, before, after, at) "  # noqa: S608
        f"SELECT :last + row_number() OVER (ORDER BY m.number), m.id, '{HubField.LISTED}', 'yes', 'no', :at "
        f"FROM hub_figures f JOIN hub_models m ON m.number = f.number WHERE {unseen}"
    )
    connection.execute(text(history), {**parameters, "last": totals.changes})
    mark = f"UPDATE hub_figures AS f SET vanished_at = :at WHERE {unseen}"  # noqa: S608
    connection.execute(text(mark), parameters)
    values = {
        "models": totals.models - count,
        "vanished": totals.vanished + count,
        "changes": totals.changes + count,
    }
    connection.execute(update(hub_tables.totals).values(**values))
    return count
