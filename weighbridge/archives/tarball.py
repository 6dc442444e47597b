"""Tar archives, read member by member; links and devices are problems, not members.

Python's reader stops without a word at a broken header, where others go on, so what follows the end must be zeros.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, cast

from weighbridge.archives.streams import Bounded
from weighbridge.archives.walking import CHUNK_SIZE, Member, Names, Walk

#: Bytes of one extended header, which tarfile reads whole.
_MAX_HEADER = 4 * CHUNK_SIZE


def read(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the files of a tar archive."""
    names = Names(walk, prefix)
    with tarfile.open(fileobj=cast("IO[bytes]", Bounded(file, _MAX_HEADER)), mode="r:") as archive:
        for info in archive:
            names.judge(info.name, folder=info.isdir())
            location = walk.location(prefix, info.name)
            if info.issym() or info.islnk():
                walk.problem("archive.link", "error", f"The member is a link to {info.linkname!r}.", location)
            elif info.isdev():
                walk.problem("archive.device", "error", "The member is a device or a pipe.", location)
            elif info.isfile():
                stream = archive.extractfile(info)
                if stream is None:
                    walk.problem("archive.malformed", "error", "The member has no content.", location, unread=True)
                else:
                    yield from walk.member(info.name, stream, prefix, depth)
            elif not info.isdir():
                text = f"The member is of the unknown type {info.type!r}."
                walk.problem("archive.unsupported", "warning", text, location, unread=True)
        _judge_end(walk, file, archive.offset, prefix)


def _judge_end(walk: Walk, file: IO[bytes], end: int, prefix: str) -> None:
    file.seek(end)
    size = hidden = 0
    while chunk := file.read(CHUNK_SIZE):
        size += len(chunk)
        hidden += len(chunk.strip(b"\0"))
    if hidden:
        text = "What follows its last member is neither a member nor its end."
        walk.problem("archive.hidden-data", "error", text, prefix, unread=True)
    elif not size:
        walk.problem("archive.malformed", "warning", "It ends without an end: it may have been cut.", prefix)
