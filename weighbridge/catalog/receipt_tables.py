"""The catalog's table of receipts: how much of which file who got.

Not here: the other tables, and their types (catalog.schema); how it is read and written (catalog.receipts).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Table

from weighbridge.catalog.column_types import Moment, PlainText
from weighbridge.catalog.schema import metadata

receipts = Table(
    "receipts",
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("actor", PlainText, primary_key=True),
    Column("address", PlainText, primary_key=True),
    Column("path", PlainText, primary_key=True),
    Column("first_at", Moment, nullable=False, comment="when the first transfer ended"),
    Column("last_at", Moment, nullable=False, comment="when the last transfer ended"),
    Column("transfers", BigInteger, nullable=False),
    Column("whole", BigInteger, nullable=False, comment="how many of them sent all of the file"),
    Column("size", BigInteger, nullable=False, comment="bytes of all transfers together"),
)
