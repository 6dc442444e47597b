"""Sweeping: deletes blobs that nothing needs, while other processes go on receiving blobs.

Not here: what needs a blob (intake.collecting), or how a process declares the blobs it relies on (store.leases).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from weighbridge.domain.digest import Digest
from weighbridge.store.local import LocalBlobStore

#: Days for which an unfinished download is kept, since the same command would resume it.
PARTIAL_LIFETIME_DAYS = 7.0
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Sweep:
    """What a sweep deleted, or would delete.

    Attributes:
        blobs: how many.
        size: their bytes.
        linked: those of these bytes that another name on the disk keeps, such as a hard link of a registry.
        partial: bytes of downloads that were cut off and not resumed.
        kept: how many blobs are left.
        held: how many of those are kept only because a running process relies on them.
        young: how many of those are kept only because they are too young.
    """

    blobs: int
    size: int
    linked: int
    partial: int
    kept: int
    held: int
    young: int

    @property
    def freed(self) -> int:
        """Bytes of disk space that the sweep freed."""
        return self.size - self.linked + self.partial


def sweep(
    store: LocalBlobStore,
    needed: Callable[[], set[Digest]],
    older_than_s: float = 0.0,
    *,
    among: Collection[Digest] | None = None,
    dry_run: bool = False,
) -> Sweep:
    """Delete every blob that is not needed, on which no running process relies, and that is old enough.

    1. While no process can add a lease, the leases are read, then the needed blobs; a blob in neither is renamed into
       the trash. If anything cannot be read, nothing is deleted.
    2. Afterwards, while other processes work, the trash is emptied. A kill leaves the rest for the next sweep.

    Args:
        store: the store.
        needed: returns the blobs that are needed; called once.
        older_than_s: seconds for which a blob is kept, needed or not.
        among: the blobs that may be deleted; all, and cut-off downloads, when None.
        dry_run: whether nothing is deleted.
    """
    blobs = size = linked = kept = held_only = young = 0
    oldest = time.time() - older_than_s
    with store.leases.collecting() as held:
        wanted = needed()
        for digest in store.digests():
            status = store.path(digest).stat()
            if among is not None and digest not in among:
                kept += 1
                continue
            if digest in wanted or digest in held or status.st_mtime > oldest:
                kept += 1
                held_only += digest in held and digest not in wanted
                young += digest not in held and digest not in wanted
                continue
            blobs, size = blobs + 1, size + status.st_size
            linked += status.st_size if status.st_nlink > 1 else 0
            if not dry_run:
                store.set_aside(digest)
        if not dry_run and among is None:
            for digest in [one for one in store.corrupt_digests() if one not in wanted and one not in held]:
                store.drop_corrupt(digest)
    if not dry_run:
        store.empty_trash()
    lifetime_s = max(older_than_s, PARTIAL_LIFETIME_DAYS * _DAY_S)
    partial = store.drop_partial(lifetime_s, dry_run=dry_run) if among is None else 0
    return Sweep(blobs, size, linked, partial, kept, held_only, young)
