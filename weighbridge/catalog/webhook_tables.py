"""The catalog's tables of webhooks: subscriptions, and the messages to their receivers and to those of jobs.

Not here: the other tables, and their types (catalog.schema); how these are read and written (catalog.subscriptions,
catalog.messages).
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from weighbridge.catalog.column_types import Moment, PlainText
from weighbridge.catalog.schema import metadata

#: The type of `access_keys.id`. There is no foreign key, as SQLite adds none to a table that is there.
_KEY_ID = BigInteger().with_variant(Integer, "sqlite")

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("url", PlainText, nullable=False),
    Column("signer", Text, nullable=False, comment="names the secret, which is stored nowhere"),
    Column("events", JSON, nullable=False, comment="of EventType"),
    Column("models", JSON, nullable=False, comment="patterns of models' names; empty for every model"),
    Column("owner", PlainText, nullable=False, comment="as the audit log names callers"),
    Column("owner_models", JSON, nullable=False, comment="the owner's own patterns when it was made"),
    Column("key_id", _KEY_ID, comment="the owner's key; none for a caller of the issuer's"),
    Column("created_at", Moment, nullable=False),
    Column("failing_since", Moment, comment="the first failed attempt after the last delivery"),
    Column("disabled_at", Moment, comment="since when nothing is sent"),
    Column("disabled_because", Text, comment="a sentence"),
    Index(None, "owner"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", PlainText, primary_key=True, comment="the header webhook-id, at each attempt"),
    Column("subscription_id", ForeignKey("subscriptions.id", ondelete="CASCADE"), comment="whose event it is"),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), comment="whose end it is; one of both is there"),
    Column("url", PlainText, nullable=False),
    Column("origin", PlainText, nullable=False, comment="of the URL; one message at a time goes there"),
    Column("signer", Text, nullable=False),
    Column("key_id", _KEY_ID, comment="for the owner of which key; none for a caller of the issuer's"),
    Column("message", JSON, nullable=False),
    Column("state", Text, nullable=False, comment="of DeliveryState"),
    Column("due_at", Moment, nullable=False, comment="of the next attempt"),
    Column("owner", Text, comment="the process that attempts it"),
    Column("leased_until", Moment, comment="when another process may attempt it"),
    Column("attempts", Integer, nullable=False, comment="since it was made or repeated"),
    Column("tried", JSON, nullable=False, comment="the last attempts, as Attempt.to_json"),
    Column("problem", Text, comment="why it ended without a delivery"),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index(None, "state", "due_at"),
    Index(None, "origin", "leased_until"),
    Index(None, "subscription_id", "created_at", "id"),
    Index(None, "subscription_id", "state"),
    Index(None, "job_id", "created_at", "id"),
    Index(None, "ended_at"),
)
