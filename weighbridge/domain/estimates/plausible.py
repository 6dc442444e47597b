"""Numbers out of documents that anybody may have written: what can be a size is taken, anything else is not there.

Not here: what a number means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The largest number that is taken for a size or a count: a thousand times the weights of the largest model known.
LARGEST = 2**50
#: The most entries of a list or table that are looked at; the deepest network known has fewer than 1,000 layers.
MOST_ENTRIES = 10_000


def whole(value: object, most: int = LARGEST) -> int | None:
    """Return a number from 1 to `most`, else None; `8.0` is 8 and True is no number."""
    if isinstance(value, float):
        value = int(value) if 1 <= value <= most and value.is_integer() else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 1 <= value <= most else None


def first_whole(document: Mapping[str, Any], keys: tuple[str, ...], most: int = LARGEST) -> tuple[int, str] | None:
    """Return the first of some keys that has a plausible number: the number and the key."""
    for key in keys:
        if number := whole(document.get(key), most):
            return number, key
    return None


def part(document: object, key: str) -> Mapping[str, Any]:
    """Return the table below a key, or an empty one."""
    inner = document.get(key) if isinstance(document, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def text(value: object, most: int = 200) -> str:
    """Return the beginning of a text, or an empty one."""
    return value[:most] if isinstance(value, str) else ""
