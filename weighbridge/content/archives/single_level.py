"""A walk through one archive alone: a compressed tar is one archive, and archives within it are files like any other.

It is read forward in one pass: nothing goes to a temporary file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, cast

from weighbridge.content.archives.member_walk import Member, Walk
from weighbridge.content.archives.streams import Chunks, Readable


class Outermost(Walk):
    """See the module; used as `Walk` is. A single compressed stream that holds no tar is a problem."""

    def member(self, name: str, stream: Readable, prefix: str, depth: int) -> Iterator[Member]:
        """Yield one member of any kind; its stream is read to the end."""
        found = self._found(name, stream, prefix, depth)
        yield found
        found.drain()
        self.stop_when_over()

    def compressed(self, name: str, stream: Readable, prefix: str, depth: int) -> Iterator[Member]:
        """Yield the members of a compressed tar; its bytes count, and so do those of its members."""
        found = self._found(name, stream, prefix, depth)
        if found.format == "tar":
            yield from self._archive("tar", cast("IO[bytes]", Chunks(found.chunks())), prefix, depth)
            self.stop_when_over()
        else:
            text = f"It holds no tar, but one compressed file ({found.format})."
            self.problem("archive.unsupported", "error", text, prefix, unread=True)
