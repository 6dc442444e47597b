"""Ranges of bytes that a request asks for (RFC 9110, section 14).

Not here: reading the bytes (store.reading).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Ranges that one request may ask for; for more, it gets all bytes.
MOST_RANGES = 64
_RANGE = re.compile(r"([0-9]{1,19})?-([0-9]{1,19})?")


@dataclass(frozen=True)
class ByteRange:
    """A part of a file: the bytes from `start` to before `stop`."""

    start: int
    stop: int

    def of(self, size: int) -> str:
        """Return what `Content-Range` says of it in a file of that many bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def read_ranges(header: str, size: int) -> Sequence[ByteRange] | None:
    """Return the ranges of a header `Range` that a file of that many bytes has; none of them where it has none.

    Returns None where the header is to be ignored: it is not about bytes or not valid, or its ranges are many or
    overlap, so that they would cost more than the whole file; or it asks for the beginning of an empty file.
    """
    unit, _, wanted = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    matches = [_RANGE.fullmatch(part.strip()) for part in wanted.split(",") if part.strip()]
    if not matches or len(matches) > MOST_RANGES:
        return None
    found, is_beginning = [], False
    for match in matches:
        if match is None or match[0] == "-":
            return None
        first, last = match[1], match[2]
        if first is not None and last is not None and int(last) < int(first):
            return None
        start = max(0, size - int(last)) if first is None else int(first)
        stop = size if first is None or last is None else min(size, int(last) + 1)
        is_beginning = is_beginning or start == 0
        if start < stop:
            found.append(ByteRange(start, stop))
    is_all = not size and is_beginning
    return None if is_all or sum(one.stop - one.start for one in found) > size else found
