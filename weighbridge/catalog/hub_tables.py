"""The tables of the local catalogue of the Hub, for SQLite and PostgreSQL alike; they are not the catalog's own.

A model has two rows under one number: a wide one, which rarely changes (`hub_models`), and a narrow one with the
figures that change every night and that searches sort by (`hub_figures`). Not here: indexes of words
(hub_words), how rows are written (hub_rows) and found (hub_search).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

from weighbridge.catalog.column_types import PlainText
from weighbridge.catalog.database import Schema

#: The newest migration's id; a test holds that it is the head of `hub_migrations/versions`.
HEAD = "0001"
#: A refresh writes to all parts of the file, so that more of it is kept in memory than by default. What a crash of the
#: machine may lose are whole pages of the list, together with the address of the next one: they are asked for again.
SCHEMA = Schema(
    HEAD,
    Path(__file__).parent / "hub_migrations",
    "hub_version",
    ("synchronous = NORMAL", "cache_size = -32000", "wal_autocheckpoint = 8000", "temp_store = MEMORY"),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stamp(moment: datetime | None) -> int | None:
    """Return a time as microseconds since 1970, or None."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def moment(stamp: int | None) -> datetime | None:
    """Return the time of a `stamp`, in UTC."""
    return None if stamp is None else _EPOCH + timedelta(microseconds=stamp)


class Stamp(TypeDecorator[datetime]):
    """A time as microseconds since 1970: a third of the room of SQLite's texts, in rows and in indexes."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the time as a number."""
        return stamp(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return the number as a time in UTC."""
        return moment(value)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
#: PostgreSQL compares bytes, as SQLite does: order and lower case are the same on both, on every machine.
_C = Text().with_variant(Text(collation="C"), "postgresql")
#: Numbers of rows: SQLite's rowid needs the type to be called INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

models = Table(
    "hub_models",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", _C, nullable=False),
    Column("object_id", LargeBinary, nullable=False, comment="packed; empty where unknown"),
    Column("sha", LargeBinary, nullable=False, comment="packed; empty where unknown"),
    Column("tags", _C, nullable=False, comment="of hub_strings, a character each"),
    Column("weights_size", BigInteger),
    Column("extra", _C, comment="JSON of what the tags do not say as usual; NULL as a rule"),
    Index("uq_hub_models_id", text("lower(id)"), unique=True),
    Index("ix_hub_models_object_id", "object_id"),
)

figures = Table(
    "hub_figures",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("gated", SmallInteger, comment="place in Gated; NULL for unknown"),
    Column("disabled", SmallInteger, nullable=False),
    Column("created_at", Stamp),
    Column("last_modified", Stamp),
    Column("downloads", BigInteger),
    Column("downloads_all_time", BigInteger),
    Column("downloads_noted", BigInteger, comment="by the history"),
    Column("likes", BigInteger),
    Column("trending_score", Double),
    Column("library", Integer, comment="of hub_strings, as the next three"),
    Column("pipeline_tag", Integer),
    Column("licence", Integer),
    Column("parameters_from", Integer),
    Column("parameters", BigInteger),
    Column("memory_size", BigInteger),
    Column("seen_at", Stamp, nullable=False),
    Column("vanished_at", Stamp),
    *(
        Index(f"ix_hub_figures_{name}", name, "number")
        for name in ("downloads", "likes", "trending_score", "created_at", "last_modified", "parameters", "memory_size")
    ),
)

strings = Table(
    "hub_strings",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("text", _C, nullable=False, unique=True),
)

changes = Table(
    "hub_changes",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("id", _C, nullable=False),
    Column("field", Text, nullable=False),
    Column("before", _C, nullable=False),
    Column("after", _C, nullable=False),
    Column("at", Stamp, nullable=False, index=True),
    Index("ix_hub_changes_id", text("lower(id)"), "number"),
)

passes = Table(
    "hub_passes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("selection", PlainText, nullable=False),
    Column("begun_at", Stamp, nullable=False),
    Column("ended_at", Stamp),
    Column("given_up_at", Stamp, comment="unended, and too old to be resumed"),
    Column("cursor", PlainText, nullable=False),
    Column("last_created_at", Stamp),
    *(Column(name, Integer, nullable=False) for name in ("pages", "models", "added", "changed", "vanished")),
    Column("owner", PlainText, nullable=False, comment="who works at it; empty for nobody"),
    Column("lease_until", Stamp, comment="when the owner counts as dead"),
)

access = Table(
    "hub_access",
    metadata,
    Column("id", _C, primary_key=True, comment="in lower case"),
    Column("token_hash", Text, primary_key=True),
    Column("allowed", SmallInteger, nullable=False),
    Column("at", Stamp, nullable=False),
)

totals = Table(
    "hub_totals",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False, comment="1: there is one row"),
    Column("identity", Text, nullable=False, comment="random, of these tables"),
    *(Column(name, Integer, nullable=False, comment="counted, of its table") for name in ("models", "vanished")),
    *(Column(name, Integer, nullable=False, comment="greatest number of its table") for name in ("rows", "texts")),
    Column("changes", _NUMBER, nullable=False, comment="greatest number of its table"),
)
