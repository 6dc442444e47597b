"""The bytes of one file as they arrive from a service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ByteStream:
    """The rest of a file from `offset` on.

    Attributes:
        offset: the actual start of the stream; 0 when the source cannot resume.
        chunks: the bytes, in order.
        size: the whole file's size as this response states it, or None.
        etag: the strong ETag of this response with its quotes, or empty.
    """

    offset: int
    chunks: Iterator[bytes]
    size: int | None = None
    etag: str = ""
