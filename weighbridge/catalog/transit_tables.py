"""The catalog's tables of transits: what the mirror hands on before its verdict, and who got it.

Not here: the other tables, and their types (catalog.schema); how these are read and written (catalog.transits).
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from weighbridge.catalog.column_types import Moment, PlainText
from weighbridge.catalog.schema import metadata

_ID = BigInteger().with_variant(Integer, "sqlite")

transits = Table(
    "transits",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", Text, nullable=False, comment="of RepoKind"),
    Column("repository", PlainText, nullable=False),
    Column("name", PlainText, nullable=False, comment="the catalog's, of the repository at the revision asked for"),
    Column("commit_id", Text, nullable=False),
    Column("manifest", JSON, nullable=False, comment="as upstream declares it"),
    Column("asker", PlainText, nullable=False, comment="who asked for it first, as the audit log names callers"),
    Column("described_at", Moment, nullable=False, comment="when upstream last said so"),
    Column("used_at", Moment, comment="when a file was last asked for; NULL where none was since the verdict"),
    Column("job_id", Text, comment="the job that weighs it"),
    UniqueConstraint("name", "commit_id"),
    Index(None, "repository", "commit_id"),
    Index(None, "used_at"),
)

recipients = Table(
    "transit_recipients",
    metadata,
    Column("transit_id", ForeignKey("transits.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("path", PlainText, primary_key=True),
    Column("actor", PlainText, primary_key=True),
    Column("address", PlainText, primary_key=True),
    Column("at", Moment, nullable=False, comment="of the first request"),
)
