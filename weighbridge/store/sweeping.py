"""Sweeping: deletes blobs that nothing needs, while other processes go on receiving blobs.

Not here: what needs a blob (intake.collecting), or how work declares the blobs it relies on (store.leases).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from os import stat_result

from weighbridge.domain.digest import Digest
from weighbridge.store.leases import Reliance
from weighbridge.store.local import LocalBlobStore

#: Days for which an unfinished download is kept, since the same command would resume it.
PARTIAL_LIFETIME_DAYS = 7.0
#: Seconds for which a blob stays in the trash on a store that machines share: longer than one of them may go on seeing
#: what another one has moved, and not yet see what another one has noted.
SETTLED_S = 3600.0
_DAY_S = 86_400.0
#: Seconds for which an unfinished download is kept though the store is above its limit.
_PATIENCE_S = 3600.0


@dataclass(frozen=True)
class Sweep:
    """What a sweep deleted, or would delete.

    Attributes:
        blobs: how many it took out of the store.
        size: their bytes.
        linked: those of these bytes that another name on the disk keeps, such as a hard link of a registry.
        partial: bytes of downloads that were cut off and not resumed.
        kept: how many blobs are left.
        held: how many of those are kept only because running work relies on them.
        young: how many of those are kept only because they are too young.
        waiting: bytes that are out of the store and not deleted yet: other machines share it, and a later sweep does.
        freed: bytes of disk space that the sweep freed.
        unread: leases that could not be read: nothing was taken out of the store, as their work may rely on it.
        left: bytes that would have been taken out of the store, had those leases been read.
    """

    blobs: int
    size: int
    linked: int
    partial: int
    kept: int
    held: int
    young: int
    waiting: int
    freed: int
    unread: tuple[str, ...] = ()
    left: int = 0


def sweep(
    store: LocalBlobStore,
    needed: Callable[[], set[Digest]],
    older_than_s: float = 0.0,
    *,
    among: Collection[Digest] | None = None,
    limit: int | None = None,
    dry_run: bool = False,
) -> Sweep:
    """Delete every blob that is not needed, on which no running work relies, and that is old enough.

    1. While no work of this machine can add a lease, the leases are read, then the needed blobs; a blob in neither is
       renamed into the trash, and a blob of the trash in either is taken back. If what is needed cannot be read,
       nothing is deleted; where a lease cannot be read, no blob is renamed.
    2. Afterwards, while other processes work, the trash is emptied: every lease was read when a blob was moved there,
       and whoever looks for it later takes it back. A kill leaves the rest for the next sweep.

    With a limit, only as many of these blobs are deleted as the store has bytes above it, those first that came first.
    Processes that hold the limit at once take turns in step 1, so that each sees what the one before left. Where that
    is not enough, downloads that were cut off are deleted, too.

    Where other machines share the store, their notes and looks may be seen late. Then step 2 leaves each blob to a
    sweep that comes `SETTLED_S` after its renaming; whoever looks for such a blob meanwhile takes it back.

    Args:
        store: the store.
        needed: returns the blobs that are needed; called once.
        older_than_s: seconds for which a blob is kept, needed or not.
        among: the blobs that may be deleted; all, and cut-off downloads, when None.
        limit: bytes that blobs and unfinished downloads may have; 0 where everything that is not needed goes.
        dry_run: whether nothing is deleted.
    """
    is_shared = store.leases.is_shared
    with store.leases.collecting() as held:
        choice = _choose(store, needed(), held, older_than_s, among)
        excess = choice.spare(store.unfinished_size() - limit) if limit is not None else 0
        trash = store.trash()
        back = {digest for digest in trash if digest in choice.wanted or digest in held.blobs}
        settled_at = store.leases.now - SETTLED_S
        if not dry_run:
            _move(store, choice, back)
    out = {digest: status for digest, status in trash.items() if digest not in back}
    settled = {digest: status for digest, status in out.items() if not is_shared or status.st_ctime <= settled_at}
    doomed = settled | ({} if is_shared else choice.unneeded)
    if not dry_run:
        for digest in doomed if is_shared else store.trash():
            store.delete_trashed(digest)
    lifetime_s = max(older_than_s, PARTIAL_LIFETIME_DAYS * _DAY_S) if excess <= 0 else _PATIENCE_S
    partial = store.drop_partial(lifetime_s, dry_run=dry_run) if among is None else 0
    return Sweep(
        blobs=len(choice.unneeded),
        size=_size(choice.unneeded),
        linked=_linked(choice.unneeded),
        partial=partial,
        kept=choice.kept,
        held=choice.held,
        young=choice.young,
        waiting=_size(out | choice.unneeded) - _size(doomed),
        freed=_size(doomed) - _linked(doomed) + partial,
        unread=tuple(str(path) for path in held.unread),
        left=_size(choice.left),
    )


@dataclass
class _Choice:
    """What a sweep does with each blob: what is wanted, goes or is left, and how many are kept for which reason."""

    wanted: set[Digest]
    size: int = 0
    unneeded: dict[Digest, stat_result] = field(default_factory=dict)
    left: dict[Digest, stat_result] = field(default_factory=dict)
    broken: list[Digest] = field(default_factory=list)
    kept: int = 0
    held: int = 0
    young: int = 0

    def spare(self, excess: int) -> int:
        """Keep the blobs that came last, of those that would go, and return the bytes that are too many all the same.

        Args:
            excess: bytes that are too many besides all blobs; negative where blobs may have so many.
        """
        excess += self.size
        for digest, status in sorted(self.unneeded.items(), key=lambda item: item[1].st_mtime):
            if excess <= 0:
                del self.unneeded[digest]
                self.kept += 1
            else:
                excess -= status.st_size
        return excess


def _choose(
    store: LocalBlobStore,
    wanted: set[Digest],
    held: Reliance,
    older_than_s: float,
    among: Collection[Digest] | None,
) -> _Choice:
    choice, oldest = _Choice(wanted), store.leases.now - older_than_s
    for digest in store.digests():
        status = store.path(digest).stat()
        choice.size += status.st_size
        if among is not None and digest not in among:
            choice.kept += 1
        elif digest in wanted or digest in held.blobs or status.st_mtime > oldest:
            choice.kept += 1
            choice.held += digest in held.blobs and digest not in wanted
            choice.young += digest not in held.blobs and digest not in wanted
        elif held.unread:
            choice.kept += 1
            choice.left[digest] = status
        else:
            choice.unneeded[digest] = status
    if among is None and not held.unread:
        choice.broken += (one for one in store.corrupt_digests() if one not in wanted and one not in held.blobs)
    return choice


def _move(store: LocalBlobStore, choice: _Choice, back: Collection[Digest]) -> None:
    for digest in back:
        store.take_back(digest)
    for digest in choice.unneeded:
        store.set_aside(digest)
    for digest in choice.broken:
        store.drop_corrupt(digest)


def _size(blobs: Mapping[Digest, stat_result]) -> int:
    return sum(status.st_size for status in blobs.values())


def _linked(blobs: Mapping[Digest, stat_result]) -> int:
    """Return the bytes that another name on the disk keeps."""
    return sum(status.st_size for status in blobs.values() if status.st_nlink > 1)
