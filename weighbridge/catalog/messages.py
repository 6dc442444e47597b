"""Messages on their way to receivers, as rows: a process takes one with a lease, attempts it, and writes what happened.

One message at a time goes to one receiver, so that a slow one holds up no other and is not flooded when it comes back.
Their number is bounded, and what is dropped says so. Not here: one transaction a method (catalog.deliveries), what
becomes a message (catalog.outbox, catalog.job_queue), and sending (intake.delivery).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, exists, func, or_, select

from weighbridge.catalog import key_owners, webhook_tables
from weighbridge.domain.webhooks import Destination
from weighbridge.errors import NotInCatalog

DeliveryState = Literal["waiting", "delivered", "failed", "expired"]
#: Attempts that are kept of one message: a repeated one has more than the schedule.
MOST_TRIED = 30
#: Messages of one subscription that may wait, and that are kept after their end.
MOST_WAITING, MOST_KEPT = 1000, 10_000
#: Key of the advisory lock of PostgreSQL for which processes that take a message wait: any constant of ours.
_TAKING = 0x6D65737361676573
_table = webhook_tables.deliveries


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
        state: whether it waits for an attempt, was delivered, was given up after its last attempt (`failed`), or ended
            for another reason than an attempt (`expired`).
        due_at: when the next attempt is, while it waits; UTC.
        attempts: how many have begun since it was made, or repeated.
        tried: the last of them, in order, those that ended.
        problem: why it ended without a delivery, a sentence; empty otherwise.
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
    problem: str
    created_at: datetime
    ended_at: datetime | None


def add_end(connection: Connection, message: Mapping[str, Any], to: Destination, now: datetime, job_id: str) -> None:
    """Store the message about the end of a job, which is due at once; expired, where its key is not valid by now."""
    row = _new(message, to, now) | {"job_id": job_id}
    if to.key_id is not None and key_owners.owner_of(connection, to.key_id, now) is None:
        row |= _ended("expired", key_owners.NOT_VALID, now)
    connection.execute(_table.insert().values(row))


def add_event(connection: Connection, message: Mapping[str, Any], to: Mapping[str, Destination], now: datetime) -> None:
    """Store the message about an event for each subscription, by its id; each is due at once."""
    rows = [_new(message, destination, now) | {"subscription_id": id_} for id_, destination in to.items()]
    connection.execute(_table.insert(), rows)
    _drop_oldest(connection, to, now)


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
    """Give a process a message that is due, if there is one: new ones first, then the one due for the longest time.

    Where its key is not valid any more, all messages for that key's owner end instead, and the next one is looked at.
    """
    if connection.dialect.name == "postgresql":  # Two at once would each take a message for the same receiver.
        connection.execute(select(func.pg_advisory_xact_lock(_TAKING)))
    order = (_table.c.attempts, _table.c.due_at, _table.c.id)
    first = select(_table).where(_due(now)).order_by(*order).limit(1)
    while row := connection.execute(first.with_for_update(skip_locked=True)).first():
        if row.key_id is None or key_owners.owner_of(connection, row.key_id, now) is not None:
            changes = {"owner": owner, "leased_until": until, "attempts": row.attempts + 1}
            connection.execute(_table.update().where(_table.c.id == row.id).values(changes))
            return get(connection, row.id)
        expire(connection, _table.c.key_id == row.key_id, key_owners.NOT_VALID, now)
    return None


def note(connection: Connection, delivery: Delivery, owner: str, attempt: Attempt, changes: Mapping[str, Any]) -> bool:
    """Store an attempt and end its lease; return False when the message is no longer that process's.

    A failed attempt changes no more where the message was repeated meanwhile, and is due at once, or has expired.
    """
    mine = (_table.c.id == delivery.id) & (_table.c.owner == owner)
    row = connection.execute(select(_table.c.attempts, _table.c.state).where(mine).with_for_update()).first()
    if row is None:
        return False
    tried = [one.to_json() for one in (*delivery.tried, attempt)][-MOST_TRIED:]
    values = {"tried": tried, "owner": None, "leased_until": None}
    if not attempt.problem or (row.attempts and row.state == "waiting"):
        values |= changes
    connection.execute(_table.update().where(mine).values(values))
    return True


def repeat(connection: Connection, id_: str, now: datetime) -> None:
    """Make a message due at once, with the whole schedule before it; one that is being attempted waits for its end."""
    values = {"state": "waiting", "due_at": now, "attempts": 0, "problem": None, "ended_at": None}
    connection.execute(_table.update().where(_table.c.id == id_).values(values))


def expire(connection: Connection, wanted: ColumnElement[bool], problem: str, now: datetime) -> None:
    """End the messages that wait and fulfil a condition, for a reason that is no attempt's."""
    waiting = (_table.c.state == "waiting") & wanted
    connection.execute(_table.update().where(waiting).values(_ended("expired", problem, now)))


def has_old(connection: Connection, before: datetime) -> bool:
    """Return whether `forget` has something to do."""
    waits = (_table.c.state == "waiting") & (_table.c.due_at < before)
    old = select(_table.c.id).where(or_(_table.c.ended_at < before, waits)).limit(1)
    return connection.execute(old).first() is not None or bool(_overfull(connection))


def forget(connection: Connection, before: datetime, now: datetime) -> int:
    """Remove messages that ended before a time, or before `MOST_KEPT` others of their subscription; return how many.

    One that has been due since before that time expires: it is seen for as long as others that ended now.
    """
    expire(connection, _table.c.due_at < before, "It waited for too long, and nobody attempted to send it.", now)
    count = connection.execute(_table.delete().where(_table.c.ended_at < before)).rowcount
    for id_ in _overfull(connection):
        ended = (_table.c.subscription_id == id_) & _table.c.ended_at.is_not(None)
        kept = select(_table.c.id).where(ended).order_by(_table.c.ended_at.desc(), _table.c.id).limit(MOST_KEPT)
        count += connection.execute(_table.delete().where(ended, _table.c.id.not_in(kept))).rowcount
    return count


def _overfull(connection: Connection) -> list[str]:
    """Return the subscriptions with more than `MOST_KEPT` messages that ended."""
    ended = (_table.c.subscription_id.is_not(None)) & (_table.c.state != "waiting")
    query = select(_table.c.subscription_id).where(ended).group_by(_table.c.subscription_id)
    return list(connection.scalars(query.having(func.count() > MOST_KEPT)))


def _drop_oldest(connection: Connection, subscriptions: Iterable[str], now: datetime) -> None:
    """Let the oldest messages expire of subscriptions for which more than `MOST_WAITING` wait."""
    waiting = _table.c.state == "waiting"
    query = select(_table.c.subscription_id).where(_table.c.subscription_id.in_(list(subscriptions)), waiting)
    query = query.group_by(_table.c.subscription_id).having(func.count() > MOST_WAITING)
    problem = f"{MOST_WAITING} newer messages wait for the same receiver, and no more may."
    for id_ in list(connection.scalars(query)):
        its = _table.c.subscription_id == id_
        order = (_table.c.created_at.desc(), _table.c.id.desc())
        newest = select(_table.c.id).where(its, waiting).order_by(*order).limit(MOST_WAITING)
        expire(connection, its & _table.c.id.not_in(newest), problem, now)


def _new(message: Mapping[str, Any], to: Destination, now: datetime) -> dict[str, Any]:
    return {
        "id": f"msg_{secrets.token_hex(16)}",
        "url": to.url,
        "origin": to.origin,
        "signer": to.signer,
        "key_id": to.key_id,
        "message": dict(message),
        "state": "waiting",
        "due_at": now,
        "attempts": 0,
        "tried": [],
        "created_at": now,
    }


def _ended(state: DeliveryState, problem: str, now: datetime) -> dict[str, Any]:
    return {"state": state, "problem": problem, "ended_at": now}


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
        destination=Destination(row.url, row.signer, row.key_id),
        message=row.message,
        state=row.state,
        due_at=row.due_at,
        attempts=row.attempts,
        tried=tuple(Attempt(**one) for one in row.tried),
        problem=row.problem or "",
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
