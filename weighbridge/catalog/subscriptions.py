"""Subscriptions in the catalog: who is told of which events of which models, and where.

Not here: the messages about them (catalog.outbox, catalog.deliveries).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from weighbridge.catalog import schema
from weighbridge.catalog.changes import Changes
from weighbridge.domain.webhooks import Destination, EventType
from weighbridge.errors import NotInCatalog, StateConflict

#: Subscriptions that one caller may have: each event is a message to each of them.
MOST = 100
_table = schema.subscriptions


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
    """

    destination: Destination
    events: tuple[EventType, ...]
    models: tuple[str, ...]
    owner: str
    owner_models: tuple[str, ...] = ()
    id: str = ""
    created_at: datetime | None = field(default=None, compare=False)


class Subscriptions:
    """The subscriptions of a catalog; `Catalog.subscriptions` is one. Its errors are those of `Catalog`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def add(self, wanted: Subscription) -> Subscription:
        """Store a subscription and return it with its id.

        Raises:
            StateConflict: its owner has `MOST` of them.
        """
        row = {
            "id": wanted.id or new_id(),
            "url": wanted.destination.url,
            "signer": wanted.destination.signer,
            "events": list(wanted.events),
            "models": list(wanted.models),
            "owner": wanted.owner,
            "owner_models": list(wanted.owner_models),
        }
        with self._changes.begin() as change:
            count = select(func.count()).where(_table.c.owner == wanted.owner)
            if change.connection.execute(count).scalar_one() >= MOST:
                raise StateConflict(f"There are {MOST} subscriptions of {wanted.owner}.", "Delete one of them first.")
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

    def get(self, id_: str) -> Subscription:
        """Return a subscription. Raises NotInCatalog."""
        with self._changes.database.read() as connection:
            return _one(connection, id_)

    def listed(self, owner: str | None = None, *, after: str = "", limit: int = 100) -> list[Subscription]:
        """Return subscriptions in the order of their ids, those after one only; of one owner, or of all."""
        query = select(_table).where(_table.c.id > after).order_by(_table.c.id).limit(limit)
        if owner is not None:
            query = query.where(_table.c.owner == owner)
        with self._changes.database.read() as connection:
            return [subscription_of(row) for row in connection.execute(query)]


def new_id() -> str:
    """Return an id for a new subscription."""
    return secrets.token_hex(8)


def subscription_of(row: Row[Any]) -> Subscription:
    """Return the subscription of a row."""
    return Subscription(
        destination=Destination(row.url, row.signer),
        events=tuple(row.events),
        models=tuple(row.models),
        owner=row.owner,
        owner_models=tuple(row.owner_models),
        id=row.id,
        created_at=row.created_at,
    )


def _one(connection: Connection, id_: str) -> Subscription:
    row = connection.execute(select(_table).where(_table.c.id == id_)).one_or_none()
    if row is None:
        raise NotInCatalog(f"There is no subscription {id_}.", "GET /webhooks lists yours.", id=id_)
    return subscription_of(row)
