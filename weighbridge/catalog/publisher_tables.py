"""The table of what is known of publishers' signatures. Not here: reading and writing it (catalog.publishers)."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Table, Text

from weighbridge.catalog.column_types import Moment
from weighbridge.catalog.schema import metadata

publisher_signatures = Table(
    "publisher_signatures",
    metadata,
    Column("manifest_digest", Text, primary_key=True, comment="of the model's files"),
    Column("content", JSON, nullable=False, comment="a list of signatures; empty where the files have none"),
    Column("recorded_at", Moment, nullable=False),
)
