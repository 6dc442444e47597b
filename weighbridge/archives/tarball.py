"""Tar archives, read as a stream; links and devices are problems, not members."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO

from weighbridge.archives.walking import Member, Walk


def read(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the files of a tar archive."""
    names = []
    with tarfile.open(fileobj=file, mode="r|") as archive:
        for info in archive:
            walk.judge_name(info.name, prefix)
            location = f"{prefix}!{info.name}" if prefix else info.name
            if info.issym() or info.islnk():
                walk.problem("archive.link", "error", f"The member is a link to {info.linkname!r}.", location)
            elif info.isdev():
                walk.problem("archive.device", "error", "The member is a device or a pipe.", location)
            elif info.isfile():
                names.append(info.name)
                stream = archive.extractfile(info)
                if stream is None:
                    walk.problem("archive.malformed", "error", "The member has no content.", location, unread=True)
                else:
                    yield from walk.member(info.name, stream, prefix, depth)
            elif not info.isdir():
                text = f"The member is of the unknown type {info.type!r}."
                walk.problem("archive.unsupported", "warning", text, location, unread=True)
    walk.judge_names(names, prefix)
