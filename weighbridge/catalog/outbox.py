"""The outbox: in the transaction that changes something, the messages about it for everybody who subscribed.

So no change is without its messages, and no message without its change, whoever makes it: a request, a command or a
flow. Not here: who subscribes (catalog.subscriptions), and the messages on their way (catalog.messages).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import Connection, Row, select

from weighbridge.catalog import messages, schema
from weighbridge.domain.access import Caller, checked_role
from weighbridge.domain.audit import AuditRow
from weighbridge.domain.webhooks import Destination, EventType, event_of


def write(connection: Connection, rows: Sequence[AuditRow], now: datetime) -> None:
    """Store the messages about changes, which are given as their rows of the audit log."""
    events = [(event, row) for row in rows if (event := event_of(row))]
    if not events:
        return
    # Until the commit, PostgreSQL deletes none of them.
    query = select(schema.subscriptions).order_by(schema.subscriptions.c.id)
    subscriptions = connection.execute(query.with_for_update(read=True, key_share=True)).all()
    callers: dict[str, Caller | None] = {}
    for event, row in events:
        model = row.object.partition("@")[0]
        wanted = [one for one in subscriptions if event in one.events and _fits(model, one.models)]
        told = [one for one in wanted if _may_know(connection, callers, one, model, now)]
        if told:
            message = {"type": event, "timestamp": row.at.isoformat(), "data": _data(connection, event, row)}
            for one in told:
                to = Destination(one.url, one.signer)
                messages.add(connection, message, to, now, subscription_id=one.id)


def _fits(model: str, patterns: Iterable[str]) -> bool:
    patterns = tuple(patterns)
    return not patterns or any(fnmatchcase(model, pattern) for pattern in patterns)


def _may_know(
    connection: Connection, callers: dict[str, Caller | None], subscription: Row[Any], model: str, now: datetime
) -> bool:
    """Return whether a subscription's owner may still know of a model: a key that is not valid any more may not."""
    owner: str = subscription.owner
    kind, _, name = owner.partition(":")
    if kind != "key":  # The issuer of another caller is not asked: what its token said then counts.
        return _fits(model, subscription.owner_models)
    if owner not in callers:
        callers[owner] = _key_caller(connection, name, now)
    caller = callers[owner]
    return caller is not None and caller.may("publisher", model)


def _key_caller(connection: Connection, name: str, now: datetime) -> Caller | None:
    table = schema.access_keys
    query = select(table).where(table.c.name == name, table.c.revoked_at.is_(None))
    row = connection.execute(query).one_or_none()
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return Caller(name, checked_role(row.role), tuple(row.models))


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
