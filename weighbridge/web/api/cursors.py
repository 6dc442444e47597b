"""Parts of lists: how many entries, and the cursor of the next part.

A cursor holds the sort key of the last entry, so that entries added or removed meanwhile repeat and hide no others.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import Query
from pydantic import AfterValidator

from weighbridge.catalog.column_types import storable
from weighbridge.errors import UsageError

MAX_LIMIT = 200
#: The largest number that a database compares.
MAX_NUMBER = 2**63 - 1
Key = list[str | int]
T = TypeVar("T", str, int)


def cursor_of(key: Sequence[str | int]) -> str:
    """Return the cursor of the part after the entry with a sort key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def key_of(cursor: str) -> Key | None:
    """Return the sort key in a cursor; None for the empty one, which is the first part.

    Raises:
        ValueError: it is none that `cursor_of` made.
    """
    if not cursor:
        return None
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not a cursor: take `next` of the part before") from error
    if not isinstance(key, list) or not all(map(_can_be_compared, key)):
        raise ValueError("it is not a cursor: take `next` of the part before")
    return key


def place_of(cursor: str, first: T) -> T:
    """Return the one value in the cursor of a list that has a single sort key; `first` for the first part.

    Raises:
        UsageError: it is the cursor of another list.
    """
    key = key_of(cursor)
    if key is None:
        return first
    if len(key) != 1 or not isinstance(key[0], type(first)):
        raise UsageError("The cursor is of another list.", "Take `next` of the part before.")
    return key[0]


def moment_of(cursor: str) -> tuple[datetime, str] | None:
    """Return the time and the id in the cursor of a list of what was made when; None for the first part.

    Raises:
        UsageError: it is the cursor of another list.
    """
    key = key_of(cursor)
    if key is None:
        return None
    try:
        at, id_ = (str(part) for part in key)
        return datetime.fromisoformat(at).astimezone(UTC), id_
    except (ValueError, OverflowError) as error:
        raise UsageError("The cursor is of another list.", "Take `next` of the part before.") from error


def _can_be_compared(part: object) -> bool:
    if isinstance(part, str):
        return storable(part) == part
    return type(part) is int and abs(part) <= MAX_NUMBER


def checked_cursor(cursor: str) -> str:
    """Return a cursor unchanged when it is one that `cursor_of` made, or empty. Raises ValueError."""
    key_of(cursor)
    return cursor


Cursor = Annotated[
    str,
    Query(description="`next` of the part before; empty for the first part.", max_length=4096),
    AfterValidator(checked_cursor),
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Entries in one part.")]
