"""The deliveries of messages, which `Catalog.deliveries` has: one transaction a method, safe for threads and processes.

Not here: the rows (catalog.messages), and the process that sends (intake.delivery).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from weighbridge.catalog import messages
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.messages import Attempt, Delivery


class Deliveries:
    """Messages that wait, were delivered, or were given up. Its errors are those of `Catalog`.

    A repeated delivery is a change of a person; attempts are in no audit log.
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

    def note(self, delivery: Delivery, owner: str, attempt: Attempt, wait_s: float | None) -> None:
        """Store what an attempt came to; nothing when the message is no longer that process's.

        Args:
            delivery: the message, as `take` gave it.
            owner: the process.
            attempt: the attempt.
            wait_s: seconds before the next one; None where there is none, as it was delivered or is given up.
        """
        now = self._changes.clock()
        if wait_s is None:
            changes = {"state": "failed" if attempt.problem else "delivered", "ended_at": now}
        else:
            changes = {"due_at": now + timedelta(seconds=wait_s)}
        with self._database.write() as connection:
            messages.note(connection, delivery, owner, attempt, changes)

    def repeat(self, id_: str) -> Delivery:
        """Send a message again, whatever became of it, and return it. Raises NotInCatalog."""
        with self._changes.begin() as change:
            found = messages.get(change.connection, id_)
            messages.repeat(change.connection, id_, change.now)
            about = {"state": found.state, "type": found.message["type"], "to": found.destination.origin}
            change.record("delivery.repeated", f"delivery:{id_}", before=about)
            return messages.get(change.connection, id_)

    def forget(self, after_s: float) -> int:
        """Remove messages that ended longer ago than that, and return how many; no fact of a model is among them."""
        with self._database.write() as connection:
            return messages.forget(connection, self._changes.clock() - timedelta(seconds=after_s))
