"""Checking: every blob of the store hashed again, and which model versions a broken or missing one concerns."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from weighbridge.domain.digest import Digest
from weighbridge.domain.progress import Progress
from weighbridge.domain.version import ModelVersion
from weighbridge.store.local import Damage, LocalBlobStore


@dataclass(frozen=True)
class StoreCheck:
    """The result of a check of the store.

    Attributes:
        blobs: how many were hashed.
        size: their bytes.
        damaged: blobs whose content no longer has the digest in their name; they are set aside.
        missing: blobs that a version needs and the store lacks.
        concerned: `name@version` of every version with a damaged or missing blob.
        unfinished: downloads that were cut off and will be resumed.
        foreign: paths of files in the store's folders that do not belong to it; they are harmless.
    """

    blobs: int
    size: int
    damaged: tuple[Damage, ...]
    missing: tuple[Digest, ...]
    concerned: tuple[str, ...]
    unfinished: int
    foreign: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Return whether every needed blob is present and undamaged."""
        return not (self.damaged or self.missing)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "sound": self.sound,
            "blobs": self.blobs,
            "size": self.size,
            "damaged": [
                {
                    "digest": str(d.digest),
                    "actual": str(d.actual) if d.actual else None,
                    "moved_to": str(d.moved_to),
                }
                for d in self.damaged
            ],
            "missing": [str(digest) for digest in self.missing],
            "concerned": list(self.concerned),
            "unfinished": self.unfinished,
            "foreign": list(self.foreign),
        }


def check_store(
    store: LocalBlobStore, versions: Iterable[ModelVersion], progress: Progress, threads: int
) -> StoreCheck:
    """Hash every blob again and return what is damaged or missing, with the versions concerned.

    A damaged blob is moved to the store's `corrupt` folder, so that the next ingest fetches it anew.
    """
    digests = tuple(filter(store.has, store.digests()))  # After `has`, a concurrent sweep keeps the blob.
    size = sum(store.size(digest) for digest in digests)
    progress.expect("fsck", size)
    check = partial(store.check, heard=partial(progress.advance, "fsck"))
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="fsck") as pool:
        damaged = tuple(damage for damage in pool.map(check, digests) if damage is not None)
    missing, concerned = set(), []
    for version in versions:
        if version.purged:
            continue
        gone = {entry.digest for entry in version.manifest.files if entry.digest and not store.has(entry.digest)}
        if gone:
            missing |= gone
            concerned.append(f"{version.name}@{version.version}")
    lost = missing - {damage.digest for damage in damaged}
    foreign = tuple(map(str, store.foreign()))
    return StoreCheck(len(digests), size, damaged, tuple(sorted(lost)), tuple(concerned), store.unfinished(), foreign)
