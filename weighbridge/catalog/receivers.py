"""Receivers that want nothing more or fail for days: their subscriptions are disabled, until a person enables them.

Not here: subscribing and enabling (catalog.subscriptions), and the attempts themselves (catalog.messages).
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, func, select

from weighbridge.catalog import messages, webhook_tables
from weighbridge.catalog.changes import Transaction
from weighbridge.domain.webhooks import origin

#: How long every attempt has to have failed before a message that is given up disables its subscription.
FAILING = timedelta(days=5)
_UNWANTED = "The receiver wants no more messages (HTTP 410)."
_FAILING = f"Every attempt has failed for more than {FAILING.days} days."
_table = webhook_tables.subscriptions


def hold(change: Transaction, subscription_id: str) -> None:
    """Let other changes of a subscription wait: whoever holds it before its messages waits for nobody in a circle."""
    its = select(_table.c.id).where(_table.c.id == subscription_id)
    change.connection.execute(its.with_for_update(key_share=True))


def note_success(change: Transaction, subscription_id: str) -> None:
    """Store that a subscription's receiver has got a message."""
    failing = (_table.c.id == subscription_id) & _table.c.failing_since.is_not(None)
    change.connection.execute(_table.update().where(failing).values(failing_since=None))


def note_failure(change: Transaction, subscription_id: str, *, given_up: bool, unwanted: bool) -> None:
    """Store that an attempt has failed, and disable the subscription where its receiver is gone.

    Args:
        change: the transaction.
        subscription_id: the subscription.
        given_up: whether it was the message's last attempt: one failure, however late, tells of no dead receiver.
        unwanted: whether the receiver says that it wants nothing more.
    """
    its = _table.c.id == subscription_id
    since = func.coalesce(_table.c.failing_since, change.now)
    change.connection.execute(_table.update().where(its).values(failing_since=since))
    if unwanted:
        disable(change, its, _UNWANTED)
    elif given_up:
        disable(change, its & (_table.c.failing_since <= change.now - FAILING), _FAILING)


def disable(change: Transaction, wanted: ColumnElement[bool], because: str) -> None:
    """Disable the subscriptions that fulfil a condition; their messages that wait expire.

    Args:
        change: the transaction.
        wanted: the condition.
        because: why, a sentence for their owners.
    """
    enabled = select(_table.c.id, _table.c.url).where(wanted, _table.c.disabled_at.is_(None)).order_by(_table.c.id)
    for row in change.connection.execute(enabled.with_for_update(key_share=True)).all():
        values = {"disabled_at": change.now, "disabled_because": because}
        change.connection.execute(_table.update().where(_table.c.id == row.id).values(values))
        messages.expire(change.connection, webhook_tables.deliveries.c.subscription_id == row.id, because, change.now)
        change.record("webhook.disabled", f"webhook:{row.id}", after={"to": origin(row.url), "because": because})
