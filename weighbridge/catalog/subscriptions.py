"""Subscriptions in the catalog: who is told of which events of which models, and where.

Not here: the messages about them (catalog.outbox, catalog.deliveries), and why one is disabled (catalog.receivers).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, select

from weighbridge.catalog import key_owners, webhook_tables
from weighbridge.catalog.changes import Changes
from weighbridge.domain.webhooks import Destination, EventType
from weighbridge.errors import NotInCatalog, StateConflict

#: Subscriptions that one caller may have, and all callers together: each change that is an event looks at each of them
#: while other writers wait.
MOST, MOST_IN_ALL = 100, 5000
_table = webhook_tables.subscriptions


@dataclass(frozen=True)
class Subscription:
    """Events that somebody wants to be told of.

    Attributes:
        destination: where the messages go.
        events: which ones.
        models: patterns of models' names; empty for every model.
        owner: whose it is, as the audit log names callers.
        owner_models: the owner's own patterns when it was made; empty for every model.
        id: of the row; empty before it is stored.
        created_at: when it was made; UTC.
        failing_since: the first failed attempt after the last delivery; None where there was none. UTC.
        disabled_at: since when nothing is sent, or None; UTC.
        disabled_because: why, a sentence; empty while it is enabled.
    """

    destination: Destination
    events: tuple[EventType, ...]
    models: tuple[str, ...]
    owner: str
    owner_models: tuple[str, ...] = ()
    id: str = ""
    created_at: datetime | None = field(default=None, compare=False)
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_because: str = ""


class Subscriptions:
    """The subscriptions of a catalog; `Catalog.subscriptions` is one. Its errors are those of `Catalog`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def add(self, wanted: Subscription) -> Subscription:
        """Store a subscription and return it with its id.

        Raises:
            StateConflict: its owner has `MOST` of them, or all owners have `MOST_IN_ALL`.
        """
        row = {
            "id": wanted.id or new_id(),
            "url": wanted.destination.url,
            "signer": wanted.destination.signer,
            "events": list(wanted.events),
            "models": list(wanted.models),
            "owner": wanted.owner,
            "owner_models": list(wanted.owner_models),
            "key_id": wanted.destination.key_id,
        }
        with self._changes.begin() as change:
            _refuse_beyond(change.connection, wanted)
            change.connection.execute(_table.insert().values(row | {"created_at": change.now}))
            after = {"to": wanted.destination.origin, "events": wanted.events, "models": wanted.models}
            change.record("webhook.created", f"webhook:{row['id']}", after=after)
            return _one(change.connection, str(row["id"]))

    def remove(self, id_: str) -> None:
        """Remove a subscription, and its messages with it. Raises NotInCatalog."""
        with self._changes.begin() as change:
            found = _one(change.connection, id_)
            change.connection.execute(_table.delete().where(_table.c.id == id_))
            before = {"to": found.destination.origin, "events": found.events, "models": found.models}
            change.record("webhook.removed", f"webhook:{id_}", before=before)

    def enable(self, id_: str) -> Subscription:
        """Enable a subscription that was disabled, and return it; one that is enabled stays as it is.

        What happened meanwhile is not sent; its failures are forgotten.

        Raises:
            NotInCatalog: there is none.
            StateConflict: the key of its owner is not valid any more.
        """
        with self._changes.begin() as change:
            found = _one(change.connection, id_)
            if found.disabled_at is None:
                return found
            key_id = found.destination.key_id
            owner = None if key_id is None else key_owners.owner_of(change.connection, key_id, change.now)
            if owner is None and found.owner.startswith("key:"):
                raise StateConflict(
                    f"The subscription {id_} cannot be enabled: the key of {found.owner} is revoked or has expired.",
                    "Subscribe with a valid key.",
                    id=id_,
                )
            values = {"disabled_at": None, "disabled_because": None, "failing_since": None}
            change.connection.execute(_table.update().where(_table.c.id == id_).values(values))
            change.record("webhook.enabled", f"webhook:{id_}", before={"because": found.disabled_because})
            return _one(change.connection, id_)

    def get(self, id_: str) -> Subscription:
        """Return a subscription. Raises NotInCatalog."""
        with self._changes.database.read() as connection:
            return _one(connection, id_)

    def listed(
        self, owner: str | None = None, key_id: int | None = None, *, after: str = "", limit: int = 100
    ) -> list[Subscription]:
        """Return subscriptions in the order of their ids, those after one only; of one owner and key, or of all."""
        query = select(_table).where(_table.c.id > after).order_by(_table.c.id).limit(limit)
        if owner is not None:
            query = query.where(_of(owner, key_id))
        with self._changes.database.read() as connection:
            return [subscription_of(row) for row in connection.execute(query)]


def new_id() -> str:
    """Return an id for a new subscription."""
    return secrets.token_hex(8)


def subscription_of(row: Row[Any]) -> Subscription:
    """Return the subscription of a row."""
    return Subscription(
        destination=Destination(row.url, row.signer, row.key_id),
        events=tuple(row.events),
        models=tuple(row.models),
        owner=row.owner,
        owner_models=tuple(row.owner_models),
        id=row.id,
        created_at=row.created_at,
        failing_since=row.failing_since,
        disabled_at=row.disabled_at,
        disabled_because=row.disabled_because or "",
    )


def _of(owner: str, key_id: int | None) -> ColumnElement[bool]:
    """Return the condition that a subscription is an owner's: a later key of the same name is another one's."""
    return (_table.c.owner == owner) & _table.c.key_id.is_not_distinct_from(key_id)


def _refuse_beyond(connection: Connection, wanted: Subscription) -> None:
    own = func.count(case((_of(wanted.owner, wanted.destination.key_id), 1)))
    in_all = func.count(case((_table.c.disabled_at.is_(None), 1)))
    having, all_ = connection.execute(select(own, in_all)).one()
    if having >= MOST:
        raise StateConflict(f"There are {MOST} subscriptions of {wanted.owner}.", "Delete one of them first.")
    if all_ >= MOST_IN_ALL:
        raise StateConflict(
            f"There are {MOST_IN_ALL} subscriptions, and no more may be.",
            "Ask an admin to delete those that nobody needs: GET /webhooks lists them.",
        )


def _one(connection: Connection, id_: str) -> Subscription:
    row = connection.execute(select(_table).where(_table.c.id == id_)).one_or_none()
    if row is None:
        raise NotInCatalog(f"There is no subscription {id_}.", "GET /webhooks lists yours.", id=id_)
    return subscription_of(row)
