"""The catalog's tables of rescans.

Not here: the other tables (catalog.schema), and how these are read and written (catalog.rescans).
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, Table, Text

from weighbridge.catalog.column_types import Moment, PlainText
from weighbridge.catalog.schema import metadata

_NUMBER = BigInteger().with_variant(Integer, "sqlite")

rescans = Table(
    "rescans",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("request", JSON, nullable=False, comment="RescanRequest.to_json()"),
    Column("state", Text, nullable=False, comment="of RescanState"),
    Column("owner", PlainText, nullable=False, comment="the process that works at it; empty after its end"),
    Column("lease_until", Moment, comment="when another process may begin one"),
    Column("blobs_due", BigInteger, nullable=False),
    Column("bytes_due", BigInteger, nullable=False),
    Column("blobs_done", BigInteger, nullable=False),
    Column("bytes_done", BigInteger, nullable=False),
    Column("judged", BigInteger, nullable=False),
    Column("changed", JSON, nullable=False, comment="NAME@VERSION of changed verdicts, at most a hundred"),
    Column("problem", PlainText, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("ended_at", Moment),
)

gaps = Table(
    "rescan_gaps",
    metadata,
    Column("number", ForeignKey("rescans.number", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("subject", PlainText, primary_key=True, comment="a digest, or NAME@VERSION"),
    Column("what", Text, nullable=False),
    Column("detail", PlainText, nullable=False),
)
