"""The outbox: in the transaction that changes something, the messages about it for everybody who subscribed.

So no change is without its messages, and no message without its change, whoever makes it: a request, a command or a
flow. Not here: who subscribes (catalog.subscriptions), and the messages on their way (catalog.messages).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from weighbridge.catalog import hub_messages, messages, schema, webhook_tables
from weighbridge.catalog.key_owners import owner_of
from weighbridge.domain.access import Caller
from weighbridge.domain.audit import AuditRow
from weighbridge.domain.hub_news import HUB_EVENTS
from weighbridge.domain.name_patterns import matches_any
from weighbridge.domain.webhooks import Destination, EventType, event_of

_table = webhook_tables.subscriptions


def write(connection: Connection, rows: Sequence[AuditRow], now: datetime) -> None:
    """Store the messages about changes, which are given as their rows of the audit log."""
    events = [(event, row) for row in rows if (event := event_of(row))]
    if not events:
        return
    query = select(_table).where(_table.c.disabled_at.is_(None)).order_by(_table.c.id)
    subscriptions = connection.execute(query).all()
    owners: dict[int, Caller | None] = {}
    for event, row in events:
        if event in HUB_EVENTS:
            _write_of_hub(connection, row, [one for one in subscriptions if event in one.events], owners, now)
            continue
        model = row.object.partition("@")[0]
        wanted = [one for one in subscriptions if event in one.events and matches_any(model, one.models)]
        told = {
            one.id: Destination(one.url, one.signer, one.key_id)
            for one in _held(connection, wanted)
            if _may_know(connection, owners, one, model, now)
        }
        if told:
            message = {"type": event, "timestamp": row.at.isoformat(), "data": _data(connection, event, row)}
            messages.add_event(connection, message, told, now)


def _write_of_hub(
    connection: Connection,
    row: AuditRow,
    subscriptions: Sequence[Row[Any]],
    owners: dict[int, Caller | None],
    now: datetime,
) -> None:
    held = _held(connection, subscriptions)
    knows = partial(_may_know, connection, owners, now=now)
    for data, wanted in hub_messages.addressed(row, held, knows):
        told = {one.id: Destination(one.url, one.signer, one.key_id) for one in wanted}
        message = {"type": row.action, "timestamp": row.at.isoformat(), "data": data}
        messages.add_event(connection, message, told, now)


def _held(connection: Connection, wanted: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return the subscriptions that are still there: until the commit, PostgreSQL deletes none of them."""
    if connection.dialect.name != "postgresql" or not wanted:
        return list(wanted)
    query = select(_table.c.id).where(_table.c.id.in_([one.id for one in wanted])).order_by(_table.c.id)
    kept = set(connection.scalars(query.with_for_update(read=True, key_share=True)))
    return [one for one in wanted if one.id in kept]


def _may_know(
    connection: Connection, owners: dict[int, Caller | None], subscription: Row[Any], model: str, now: datetime
) -> bool:
    """Return whether a subscription's owner may still know of a model: a key that is not valid any more may not.

    An empty name stands for no model of the catalog.
    """
    key_id: int | None = subscription.key_id
    if key_id is None:  # The issuer of another caller is not asked: what its token said then counts.
        return not model or matches_any(model, subscription.owner_models)
    if key_id not in owners:
        owners[key_id] = owner_of(connection, key_id, now)
    owner = owners[key_id]
    return owner is not None and owner.may("publisher", model)


def _data(connection: Connection, event: EventType, row: AuditRow) -> dict[str, Any]:
    """Return what a message says of an event."""
    model, _, version = row.object.partition("@")
    before, after = dict(row.before or {}), dict(row.after or {})
    about: dict[str, Any] = {"model": model, "version": version or None}
    if event == "version.regressed":
        return about | {"regression": {name: value for name, value in after.items() if name != "subject"}}
    if event == "licence.acknowledged":
        return about | {"acknowledgement": after}
    about |= {"status": after.get("status"), "previous_status": before.get("status")}
    if event == "version.withdrawn":
        return about | {"reason": after.get("reason", "")}
    return about | {"reasons": _reasons(connection, model, version)}


def _reasons(connection: Connection, model: str, version: str) -> list[Mapping[str, Any]]:
    versions, models = schema.versions, schema.models
    query = select(versions.c.decision).join(models, models.c.id == versions.c.model_id)
    decision = connection.execute(query.where(models.c.name == model, versions.c.version == version)).scalar_one()
    return list(decision["reasons"])
