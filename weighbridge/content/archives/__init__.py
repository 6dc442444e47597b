"""Archives, read member by member: zip, tar, 7z, and single compressed streams, in each other too.

Not here: what a problem leads to (scanners.archives, content.unpacking), or which members are a model's files
(content.unpacking).
"""

from __future__ import annotations

from pathlib import Path

from weighbridge.content.archives import compressed_reader, sevenzip_reader, tar_reader, zip_reader, zip_tail
from weighbridge.content.archives.member_walk import ARCHIVES, Limits, Member, Problem, Reader, Walk, raise_if_ours
from weighbridge.content.archives.single_level import Outermost

__all__ = [
    "ARCHIVES",
    "READERS",
    "Limits",
    "Member",
    "Problem",
    "Walk",
    "raise_if_ours",
    "walk",
    "walk_outermost",
    "zip_at_end",
]

READERS: dict[str, Reader] = {
    "zip": zip_reader.read,
    "7z": sevenzip_reader.read,
    "tar": tar_reader.read,
    **compressed_reader.READERS,
}


def walk(path: Path, limits: Limits | None = None, kind: str = "") -> Walk:
    """Return a walk through an archive on this machine; iterate it once, then read its `problems`.

    Args:
        path: the archive.
        limits: what it may cost.
        kind: its format; empty to find out from its content.
    """
    return Walk(path, READERS, limits, kind)


def walk_outermost(path: Path, limits: Limits | None = None, kind: str = "") -> Walk:
    """Return a walk through an archive and none within it; the arguments are those of `walk`."""
    return Outermost(path, READERS, limits, kind)


def zip_at_end(path: Path) -> bool:
    """Return whether a file ends in a zip archive, which zip's readers open whatever comes before it."""
    with open(path, "rb") as file:
        return zip_tail.is_zip(file)
