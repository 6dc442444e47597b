"""Parts of lists: how many entries, and the cursor of the next part.

A cursor holds the sort key of the last entry, so that entries added or removed meanwhile repeat and hide no others.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator

MAX_LIMIT = 200
#: The largest number that a database compares.
MAX_NUMBER = 2**63 - 1
Key = list[str | int]


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
    except ValueError as error:
        raise ValueError("it is not a cursor: take `next` of the part before") from error
    if not isinstance(key, list) or not all(
        type(part) is str or (type(part) is int and abs(part) <= MAX_NUMBER) for part in key
    ):
        raise ValueError("it is not a cursor: take `next` of the part before")
    return key


def _checked(cursor: str) -> str:
    key_of(cursor)
    return cursor


Cursor = Annotated[
    str,
    Query(description="`next` of the part before; empty for the first part.", max_length=4096),
    AfterValidator(_checked),
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Entries in one part.")]
