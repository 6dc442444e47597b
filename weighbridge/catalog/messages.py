"""Messages on their way to receivers, as rows: a process takes one with a lease, attempts it, and writes what happened.

One message at a time goes to one receiver, so that a slow one holds up no other and is not flooded when it comes back.
Not here: one transaction a method (catalog.deliveries), what becomes a message (catalog.outbox, catalog.job_queue), and
sending (intake.delivery).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, exists, func, or_, select

from weighbridge.catalog import schema
from weighbridge.domain.webhooks import Destination
from weighbridge.errors import NotInCatalog

DeliveryState = Literal["waiting", "delivered", "failed"]
#: Attempts that are kept of one message: a repeated one has more than the schedule.
MOST_TRIED = 30
#: Key of the advisory lock of PostgreSQL for which processes that take a message wait: any constant of ours.
_TAKING = 0x6D65737361676573
_table = schema.deliveries


@dataclass(frozen=True)
class Attempt:
    """One attempt to deliver a message.

    Attributes:
        at: when it began, ISO 8601, UTC.
        status: the HTTP status of the receiver's answer; None without one.
        problem: why it counts as failed, a sentence; empty for a delivered message.
        duration_ms: how long it took.
    """

    at: str
    status: int | None
    problem: str
    duration_ms: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return dict(vars(self))


@dataclass(frozen=True)
class Delivery:
    """A message to one receiver, and what became of it.

    Attributes:
        id: of the message; the same at each attempt.
        subscription_id: the subscription that it is for; None for a job's callback.
        job_id: the job whose end it is; None for a subscription's.
        destination: where it goes.
        message: `type`, `timestamp` and `data`; plain JSON.
        state: whether it waits for an attempt, was delivered, or was given up.
        due_at: when the next attempt is, while it waits; UTC.
        attempts: how many have begun since it was made, or repeated.
        tried: the last of them, in order, those that ended.
        created_at: when it was made; UTC.
        ended_at: when it was delivered or given up; UTC.
    """

    id: str
    subscription_id: str | None
    job_id: str | None
    destination: Destination
    message: Mapping[str, Any]
    state: DeliveryState
    due_at: datetime
    attempts: int
    tried: tuple[Attempt, ...]
    created_at: datetime
    ended_at: datetime | None


def add(
    connection: Connection,
    message: Mapping[str, Any],
    to: Destination,
    now: datetime,
    *,
    subscription_id: str | None = None,
    job_id: str | None = None,
) -> None:
    """Store a new message, which is due at once."""
    row: dict[str, Any] = {
        "id": f"msg_{secrets.token_hex(16)}",
        "subscription_id": subscription_id,
        "job_id": job_id,
        "url": to.url,
        "origin": to.origin,
        "signer": to.signer,
        "message": dict(message),
        "state": "waiting",
        "due_at": now,
        "attempts": 0,
        "tried": [],
        "created_at": now,
    }
    connection.execute(_table.insert().values(row))


def get(connection: Connection, id_: str) -> Delivery:
    """Return a message. Raises NotInCatalog."""
    row = connection.execute(select(_table).where(_table.c.id == id_)).one_or_none()
    if row is None:
        raise NotInCatalog(f"There is no message {id_}.", "The list of deliveries has their ids.", id=id_)
    return _delivery(row)


def listed(
    connection: Connection, wanted: Mapping[str, str], before: tuple[datetime, str] | None, limit: int
) -> list[Delivery]:
    """Return the newest messages first, those before a time and an id only, whose columns have the wanted values."""
    query = select(_table).order_by(_table.c.created_at.desc(), _table.c.id.desc()).limit(limit)
    query = query.where(*(_table.c[name] == value for name, value in wanted.items()))
    if before is not None:
        at, id_ = before
        query = query.where((_table.c.created_at < at) | ((_table.c.created_at == at) & (_table.c.id < id_)))
    return [_delivery(row) for row in connection.execute(query)]


def is_due(connection: Connection, now: datetime) -> bool:
    """Return whether there is a message that a process may take."""
    return connection.execute(select(_table.c.id).where(_due(now)).limit(1)).first() is not None


def take(connection: Connection, owner: str, now: datetime, until: datetime) -> Delivery | None:
    """Give a process a message that is due, if there is one: new ones first, then the one due for the longest time."""
    if connection.dialect.name == "postgresql":  # Two at once would each take a message for the same receiver.
        connection.execute(select(func.pg_advisory_xact_lock(_TAKING)))
    order = (_table.c.attempts, _table.c.due_at, _table.c.id)
    first = select(_table).where(_due(now)).order_by(*order).limit(1)
    row = connection.execute(first.with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    changes = {"owner": owner, "leased_until": until, "attempts": row.attempts + 1}
    connection.execute(_table.update().where(_table.c.id == row.id).values(changes))
    return get(connection, row.id)


def note(connection: Connection, delivery: Delivery, owner: str, attempt: Attempt, changes: Mapping[str, Any]) -> bool:
    """Store an attempt and end its lease; return False when the message is no longer that process's.

    A message that was repeated during an attempt that failed stays due at once, whatever `changes` say.
    """
    mine = (_table.c.id == delivery.id) & (_table.c.owner == owner)
    begun = connection.execute(select(_table.c.attempts).where(mine).with_for_update()).scalar()
    if begun is None:
        return False
    tried = [one.to_json() for one in (*delivery.tried, attempt)][-MOST_TRIED:]
    values = {"tried": tried, "owner": None, "leased_until": None}
    if begun or not attempt.problem:
        values |= changes
    connection.execute(_table.update().where(mine).values(values))
    return True


def repeat(connection: Connection, id_: str, now: datetime) -> None:
    """Make a message due at once, with the whole schedule before it; one that is being attempted waits for its end."""
    values = {"state": "waiting", "due_at": now, "attempts": 0, "ended_at": None}
    connection.execute(_table.update().where(_table.c.id == id_).values(values))


def forget(connection: Connection, before: datetime) -> int:
    """Remove messages that ended before a time, and return how many."""
    return connection.execute(_table.delete().where(_table.c.ended_at < before)).rowcount


def _due(now: datetime) -> ColumnElement[bool]:
    other = _table.alias("under_way")
    busy = exists().where(other.c.origin == _table.c.origin, other.c.leased_until >= now)
    free = or_(_table.c.leased_until.is_(None), _table.c.leased_until < now)
    return (_table.c.state == "waiting") & (_table.c.due_at <= now) & free & ~busy


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        subscription_id=row.subscription_id,
        job_id=row.job_id,
        destination=Destination(row.url, row.signer),
        message=row.message,
        state=row.state,
        due_at=row.due_at,
        attempts=row.attempts,
        tried=tuple(Attempt(**one) for one in row.tried),
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
