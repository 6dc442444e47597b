"""The result of unpacking: the files of a model that arrived as one archive. Each kind of archive has its own file."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.progress import Progress
from weighbridge.domain.selection import Selection
from weighbridge.store.local import LocalBlobStore


@dataclass(frozen=True, order=True)
class DroppedMember:
    """A member that does not belong to the model, although it was read and checked. The size is in bytes."""

    path: str
    size: int
    reason: str


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive: the model's files with size and sha256, and everything else by name."""

    files: tuple[FileEntry, ...]
    dropped: tuple[DroppedMember, ...]


#: Unpacks the selected files of an archive at a path into the store.
Unpacker = Callable[[Path, LocalBlobStore, Progress, Selection], Unpacked]


def below_shared_folder(names: Iterable[str]) -> dict[str, str]:
    """Return each name below the longest folder that all of them share, which is the model's root."""
    names = tuple(names)
    shared = posixpath.commonpath([posixpath.dirname(name) for name in names]) if names else ""
    return {name: name[len(shared) + 1 :] if shared else name for name in names}
