"""Changes of the catalog: transactions in the name of one actor, each of which writes its rows of the audit log.

Every class of the catalog that changes anything does so through `Changes.begin`, and records what it changed; both are
committed together, or not at all, and with them the messages to everybody who subscribed (catalog.outbox).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from weighbridge.catalog import audit, outbox
from weighbridge.catalog.column_types import storable
from weighbridge.catalog.database import Database
from weighbridge.domain.audit import AuditRow

#: The actor of changes whose actor was not recorded.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Transaction:
    """One transaction that changes the catalog.

    Attributes:
        connection: for its statements.
        actor: whose changes they are.
        now: the time of all of them.
    """

    connection: Connection
    actor: str
    now: datetime
    _rows: list[AuditRow] = field(default_factory=list)

    def of(self, actor: str) -> Transaction:
        """Return this transaction for changes of another actor."""
        return replace(self, actor=storable(actor))

    def record(
        self,
        action: str,
        object_: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a row to the audit log when the transaction ends; the values hold no secret."""
        was, became = (None if value is None else json.loads(json.dumps(value)) for value in (before, after))
        self._rows.append(AuditRow(0, self.now, self.actor, storable(action), storable(object_), was, became))


class Changes:
    """Transactions of one actor.

    Attributes:
        database: where they take place.
        clock: returns the current time, with a time zone.
        actor: whose changes they are.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], actor: str = UNKNOWN) -> None:
        self.database, self.clock, self.actor = database, clock, storable(actor or UNKNOWN)

    def of(self, actor: str) -> Changes:
        """Return the transactions of another actor."""
        return Changes(self.database, self.clock, actor)

    def over(self, database: Database) -> Changes:
        """Return the transactions of the same actor over other connections."""
        return Changes(database, self.clock, self.actor)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Open a transaction; at its end, its rows of the audit log are written, and the messages about them."""
        now = self.clock()
        with self.database.write() as connection:
            transaction = Transaction(connection, self.actor, now)
            yield transaction
            outbox.write(connection, transaction._rows, now)
            audit.append(connection, transaction._rows)
