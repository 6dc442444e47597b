"""The size that a model's name states: `Llama-3.1-8B`, `Mixtral-8x7B`, `Qwen3-30B-A3B`.

It is the last thing to believe: a name is a publisher's round figure, or a joke. Not here: what a name says of
quantisation (quantisation).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from weighbridge.domain.estimates.plausible import whole

_MIXTURE = re.compile(r"(?<![a-z0-9.])(\d{1,4})x(\d{1,6}(?:\.\d{1,6})?)b(?![a-z0-9])", re.ASCII)
_TOTAL = re.compile(r"(?<![a-z0-9.])(\d{1,6}(?:\.\d{1,6})?)([bm])(?![a-z0-9])", re.ASCII)
_ACTIVE = re.compile(r"(?<![a-z0-9])a(\d{1,6}(?:\.\d{1,6})?)b(?![a-z0-9])", re.ASCII)
_UNITS = {"b": 1_000_000_000, "m": 1_000_000}
#: The share of a dense model of which a mixture has one copy, whatever the number of its experts: attention and
#: embeddings. A fifth gives Mixtral 8x7B 46.2 of its 46.7 billion and 8x22B 145 of its 141.
_SHARED = 0.2
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class NameSize:
    """What a name says.

    Attributes:
        total: weights, or None.
        active: weights that one token uses, or None.
        most: weights if nothing was shared by the experts of a mixture; the same as `total` for any other.
    """

    total: int | None = None
    active: int | None = None
    most: int | None = None


def size_in_name(name: str) -> NameSize:
    """Return what the last part of a model's name says of its size; the first match counts."""
    words = name[-_LONGEST:].rpartition("/")[2].lower()
    active = None
    if match := _ACTIVE.search(words):
        active = whole(round(float(match[1]) * _UNITS["b"]))
    if match := _MIXTURE.search(words):
        experts, each = int(match[1]), float(match[2]) * _UNITS["b"]
        total = whole(round(each * (experts - _SHARED * (experts - 1))))
        return NameSize(total, active, whole(round(each * experts)) if total else None)
    if match := _TOTAL.search(words):
        total = whole(round(float(match[1]) * _UNITS[match[2]]))
        return NameSize(total, active, total)
    return NameSize(None, active, None)
