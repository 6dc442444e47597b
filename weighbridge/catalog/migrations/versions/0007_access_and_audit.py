"""Keys of access, and the audit log as a chain, which takes the place of the events.

What was recorded as events becomes the first rows of the chain, with an unknown actor. Types and hashes are written
out, so that this step stays what it was when the code moves on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BATCH = 1000


def upgrade() -> None:
    _create_keys()
    audit, head = _create_audit()
    number, hash_ = 0, "0" * 64
    for batch in _batches(op.get_bind()):
        rows = []
        for event in batch:
            number += 1
            row = _row(number, event)
            hash_ = _hash({**row, "at": row["at"].isoformat(), "hash": hash_})
            rows.append(row | {"hash": hash_})
        op.get_bind().execute(audit.insert(), rows)
    op.get_bind().execute(head.insert().values(id=1, number=number, hash=hash_))
    op.drop_table("events")


def _create_keys() -> None:
    op.create_table(
        "access_keys",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="domain.access.hash_of; the key itself is stored nowhere"),
        sa.Column("role", sa.Text(), nullable=False, comment="of Role"),
        sa.Column("models", sa.JSON(), nullable=False, comment="patterns of models' names; empty for every model"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("used_at", sa.DateTime(timezone=True), comment="last use, to a minute"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_access_keys_hash")),
    )
    valid = sa.text("revoked_at IS NULL")
    op.create_index(
        op.f("ix_access_keys_name"),
        "access_keys",
        ["name"],
        unique=True,
        sqlite_where=valid,
        postgresql_where=valid,
    )


def _create_audit() -> tuple[Any, Any]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    audit = op.create_table(
        "audit",
        sa.Column("number", number, nullable=False, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True)),
        sa.Column("after", sa.JSON(none_as_null=True)),
        sa.Column("hash", sa.Text(), nullable=False, comment="domain.audit.AuditRow.hash_after of the row before"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    for column in ("object", "action", "actor"):
        op.create_index(op.f(f"ix_audit_{column}_number"), "audit", [column, "number"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False, comment="1: there is one row"),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="of the newest row of audit"),
        sa.Column("hash", sa.Text(), nullable=False, comment="of the newest row of audit"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    return audit, head


def _batches(connection: sa.Connection) -> Iterator[Any]:
    columns = (sa.column("id", sa.BigInteger()), sa.column("at", sa.DateTime(timezone=True)))
    texts = (sa.column("kind", sa.Text()), sa.column("subject", sa.Text()), sa.column("detail", sa.JSON()))
    events = sa.table("events", *columns, *texts)
    last = 0
    while batch := connection.execute(
        sa.select(events).where(events.c.id > last).order_by(events.c.id).limit(_BATCH)
    ).all():
        yield batch
        last = batch[-1].id


def _row(number: int, event: Any) -> dict[str, Any]:
    at: datetime = event.at
    return {
        "number": number,
        "at": at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC),
        "actor": "unknown",
        "action": event.kind,
        "object": event.subject,
        "before": None,
        "after": event.detail,
    }


def _hash(content: dict[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
