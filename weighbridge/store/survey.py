"""A survey of a store: what its folder has, each blob by itself and all else by its folder, as much as `du` finds.

A file with several names in the folder counts once, and folders have no size, but take room. Not here: what each blob
is needed for (intake.caching).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from weighbridge.domain.digest import Digest
from weighbridge.store.failures import store_errors
from weighbridge.store.local import LocalBlobStore

#: Folders whose content is shown by itself.
_SHOWN = ("partial", "trash", "corrupt")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})")
#: Bytes of a block, as `st_blocks` counts them on every file system.
_BLOCK = 512


@dataclass(frozen=True)
class Amount:
    """How much there is of something.

    Attributes:
        files: how many files.
        size: their bytes.
        disk: the bytes that they take on the disk: less for a file with holes, more for one that fills no block.
    """

    files: int = 0
    size: int = 0
    disk: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.size + other.size, self.disk + other.disk)


@dataclass(frozen=True)
class Survey:
    """What a store's folder has.

    Attributes:
        blobs: each blob.
        partial: downloads that are under way or were cut off, with their sums.
        trash: blobs that a sweep has set aside.
        corrupt: blobs that were found damaged.
        other: sums, locks, aliases, leases, the reserve, folders, and files that are not the store's.
    """

    blobs: Mapping[Digest, Amount]
    partial: Amount
    trash: Amount
    corrupt: Amount
    other: Amount


def survey(store: LocalBlobStore) -> Survey:
    """Return what a store's folder has; what other processes write or delete meanwhile may be missing.

    Raises:
        StoreError: a folder cannot be read.
    """
    blobs: dict[Digest, Amount] = {}
    rest = dict.fromkeys((*_SHOWN, "other"), Amount())
    with store_errors(store.root):
        for path, amount in _entries(store.root):
            place = path.relative_to(store.root).as_posix()
            top = place.partition("/")[0]
            if (blob := _BLOB.fullmatch(place)) and amount.files:
                blobs[Digest("sha256", blob[2])] = amount
            else:
                is_lock = place.endswith(".lock")  # It stays for good, beside nothing.
                what = top if top in _SHOWN and amount.files and not is_lock else "other"
                rest[what] += amount
    return Survey(blobs, rest["partial"], rest["trash"], rest["corrupt"], rest["other"])


def _entries(root: Path) -> Iterator[tuple[Path, Amount]]:
    """Yield every file and folder below a folder, and the folder itself."""
    seen: set[tuple[int, int]] = set()
    yield root, Amount(disk=root.stat().st_blocks * _BLOCK)
    waiting = [root]
    while waiting:
        waiting.sort(key=lambda path: "blobs" in path.parts)  # A blob with a second name counts as a blob.
        with suppress(FileNotFoundError), os.scandir(waiting.pop()) as found:
            for entry in found:
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    identity = status.st_dev, status.st_ino
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                        yield Path(entry.path), Amount(disk=status.st_blocks * _BLOCK)
                    elif status.st_nlink == 1 or identity not in seen:
                        seen.add(identity)
                        yield Path(entry.path), Amount(1, status.st_size, status.st_blocks * _BLOCK)
