"""The audit log in the catalog: every action in order; no entry is ever changed or removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from weighbridge.catalog import schema


@dataclass(frozen=True)
class Event:
    """One entry of the audit log.

    Attributes:
        id: increases with time.
        at: when it happened; UTC.
        kind: `noun.verb`, such as `version.settled`.
        subject: what it happened to: a model, `name@version`, a URI.
        detail: plain JSON; never a secret.
    """

    id: int
    at: datetime
    kind: str
    subject: str
    detail: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**vars(self), "at": self.at.isoformat(), "detail": dict(self.detail)}


def record(connection: Connection, kind: str, subject: str, detail: Mapping[str, Any], now: datetime) -> None:
    """Append an event to the log."""
    connection.execute(schema.events.insert().values(at=now, kind=kind, subject=subject, detail=dict(detail)))


def of_model(connection: Connection, name: str) -> list[Event]:
    """Return the events of a model and its versions, in order."""
    table = schema.events
    its_own = (table.c.subject == name) | table.c.subject.startswith(f"{name}@", autoescape=True)
    query = select(table).where(its_own).order_by(table.c.id)
    return [Event(row.id, row.at, row.kind, row.subject, row.detail) for row in connection.execute(query)]


def listed(connection: Connection, subject: str | None, kind: str | None, after: int, limit: int) -> list[Event]:
    """Return events in order, those with an id above `after` only."""
    table = schema.events
    query = select(table).where(table.c.id > after).order_by(table.c.id).limit(limit)
    if subject is not None:
        query = query.where(table.c.subject == subject)
    if kind is not None:
        query = query.where(table.c.kind == kind)
    return [Event(row.id, row.at, row.kind, row.subject, row.detail) for row in connection.execute(query)]
