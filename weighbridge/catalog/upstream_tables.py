"""The catalog's tables of Hubs: what is known of their branches, what asks them, and what was told of their changes.

Not here: the other tables (catalog.schema), how these are read and written (catalog.branches,
catalog.hub_announcements), and the Hub's own models (catalog.hub_tables).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from weighbridge.catalog.column_types import Moment, PlainText
from weighbridge.catalog.schema import metadata

upstream_branches = Table(
    "upstream_branches",
    metadata,
    Column("hub", PlainText, primary_key=True, comment="its address"),
    Column("kind", Text, primary_key=True, comment="models or datasets"),
    Column("name", PlainText, primary_key=True, comment="the repository's"),
    Column("revision", PlainText, primary_key=True, comment="a branch or a tag"),
    Column("commit", Text, nullable=False, comment="at the last answer; empty where there was none"),
    Column("etag", PlainText, nullable=False, comment="of the last answer"),
    Column("checked_at", Moment, comment="when the last answer came"),
    Column("failure", Text, nullable=False, comment="kind of error of the last attempt; empty after an answer"),
    Column("problem", PlainText, nullable=False, comment="what it says"),
    Column("again_at", Moment, comment="when to ask again after a failure"),
    Column("asked_until", Moment, comment="until when a process is asking"),
)

identity = Table(
    "identity",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="1: there is one row"),
    Column("token", Text, nullable=False, comment="random; what Hubs know all who share this catalog by"),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("reader", Text, primary_key=True, comment="who reads the changes"),
    Column("source", Text, primary_key=True, comment="whose changes they are; of another one, 0 counts"),
    Column("number", BigInteger, nullable=False, comment="of the last change that was read"),
)
