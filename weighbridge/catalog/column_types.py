"""Values as the catalog's databases keep them: texts from upstream, times, and how many rows are wanted.

Not here: the tables (catalog.schema).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Text, bindparam
from sqlalchemy.types import TypeDecorator

#: How many rows a query returns at most, and the number that stands for all.
LIMIT, NO_LIMIT = bindparam("limit", type_=BigInteger), 2**63 - 1
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """Return a text with U+FFFD in place of characters that a database does not accept."""
    return _UNSTORABLE.sub("\ufffd", text)


class PlainText(TypeDecorator[str]):
    """Text that may come from upstream: NUL and lone surrogates, which no database accepts, become U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text in storable form."""
        return storable(value) if value is not None else None


class Moment(TypeDecorator[datetime]):
    """A time with a time zone, stored as UTC; SQLite drops time zones, so reading adds UTC again."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC. A naive time is a mistake of the caller and raises ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the clock gives moments without a time zone")
        return value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """Return the function that reads the driver's value; a list reads so many that each step counts."""
        return _moment_of_text if dialect.name == "sqlite" else _moment_in_utc


def _moment_of_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


def _moment_in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)
