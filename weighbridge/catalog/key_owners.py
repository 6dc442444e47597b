"""The owners of keys as the messages to them need them: whether somebody's key is still valid, and what it is for.

Not here: the keys themselves (catalog.keys).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from weighbridge.catalog import schema
from weighbridge.domain.access import Caller, checked_role

#: Why nothing goes to the receivers of a key.
NOT_VALID = "The key of its receiver is revoked, or has expired."


def owner_of(connection: Connection, key_id: int, now: datetime) -> Caller | None:
    """Return the caller that a key makes its owner; None where it is revoked or has expired."""
    table = schema.access_keys
    row = connection.execute(select(table).where(table.c.id == key_id, table.c.revoked_at.is_(None))).one_or_none()
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return Caller(row.name, checked_role(row.role), tuple(row.models), key_id=row.id)
