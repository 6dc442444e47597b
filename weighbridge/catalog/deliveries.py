"""The deliveries of messages, which `Catalog.deliveries` has: one transaction a method, safe for threads and processes.

Not here: the rows (catalog.messages), and the process that sends (intake.delivery).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from weighbridge.catalog import messages, receivers, webhook_tables
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.messages import Attempt, Delivery
from weighbridge.errors import StateConflict


class Deliveries:
    """Messages that wait, were delivered, or were given up. Its errors are those of `Catalog`.

    A repeated delivery is a change of a person; attempts are in no audit log, unless one disables its subscription.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def get(self, id_: str) -> Delivery:
        """Return a message. Raises NotInCatalog."""
        with self._database.read() as connection:
            return messages.get(connection, id_)

    def listed(
        self,
        *,
        subscription_id: str = "",
        job_id: str = "",
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """Return the newest messages first, those before a time and an id only; of a subscription, or of a job."""
        columns = {"subscription_id": subscription_id, "job_id": job_id}
        wanted = {name: value for name, value in columns.items() if value}
        with self._database.read() as connection:
            return messages.listed(connection, wanted, before, limit)

    def take(self, owner: str, lease_s: float) -> Delivery | None:
        """Give a process a message that is due; None for no message.

        Args:
            owner: the process; its name is used once.
            lease_s: seconds after which another process may attempt it, unless an attempt is noted.
        """
        now = self._changes.clock()
        with self._database.read() as connection:
            if not messages.is_due(connection, now):
                return None
        with self._database.write() as connection:
            return messages.take(connection, owner, now, now + timedelta(seconds=lease_s))

    def note(
        self, delivery: Delivery, owner: str, attempt: Attempt, wait_s: float | None, *, unwanted: bool = False
    ) -> None:
        """Store what an attempt came to; nothing when the message is no longer that process's.

        Args:
            delivery: the message, as `take` gave it.
            owner: the process.
            attempt: the attempt.
            wait_s: seconds before the next one; None where there is none, as it was delivered or is given up.
            unwanted: whether the receiver says that it wants nothing more, which disables the subscription.
        """
        with self._changes.begin() as change:
            if wait_s is not None:
                changes: dict[str, Any] = {"due_at": change.now + timedelta(seconds=wait_s)}
            elif attempt.problem:
                changes = {"state": "failed", "problem": attempt.problem, "ended_at": change.now}
            else:
                changes = {"state": "delivered", "problem": None, "ended_at": change.now}
            if delivery.subscription_id is not None:
                receivers.hold(change, delivery.subscription_id)
            if not messages.note(change.connection, delivery, owner, attempt, changes):
                return
            if delivery.subscription_id is None:
                return
            if attempt.problem:
                given_up = wait_s is None
                receivers.note_failure(change, delivery.subscription_id, given_up=given_up, unwanted=unwanted)
            else:
                receivers.note_success(change, delivery.subscription_id)

    def repeat(self, id_: str) -> Delivery:
        """Send a message again, whatever became of it, and return it.

        Raises:
            NotInCatalog: there is none.
            StateConflict: its subscription is disabled.
        """
        with self._changes.begin() as change:
            found = messages.get(change.connection, id_)
            if found.subscription_id is not None:
                _refuse_disabled(change.connection, found.subscription_id)
            messages.repeat(change.connection, id_, change.now)
            about = {"state": found.state, "type": found.message["type"], "to": found.destination.origin}
            change.record("delivery.repeated", f"delivery:{id_}", before=about)
            return messages.get(change.connection, id_)

    def forget(self, after_s: float) -> int:
        """Remove messages that ended longer ago than that, or are too many; return how many. No fact is among them.

        One that was due so long ago, without an attempt since then, expires.
        """
        now = self._changes.clock()
        before = now - timedelta(seconds=after_s)
        with self._database.read() as connection:
            if not messages.has_old(connection, before):
                return 0
        with self._database.write() as connection:
            return messages.forget(connection, before, now)


def _refuse_disabled(connection: Connection, subscription_id: str) -> None:
    table = webhook_tables.subscriptions
    query = select(table.c.disabled_because).where(table.c.id == subscription_id, table.c.disabled_at.is_not(None))
    because = connection.execute(query).scalar()
    if because is not None:
        raise StateConflict(
            f"The subscription {subscription_id} is disabled: {because}",
            f"Enable it first: POST /webhooks/{subscription_id}/enable.",
            id=subscription_id,
        )
