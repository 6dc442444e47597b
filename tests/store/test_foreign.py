"""What other programs leave in a store's folders is named, and stops nothing, whatever it is and wherever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from weighbridge.domain.digest import Digest
from weighbridge.domain.progress import Silent
from weighbridge.store.checking import check_store
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.sweeping import sweep

#: A blob's name that stands in no folder of its first two letters.
ELSEWHERE = "0123456789abcdef" * 4


def left_by_nfs(folder: Path) -> Path:
    path = folder / ".nfs0000000012345678"
    path.write_bytes(b"left over")
    return path


def empty(folder: Path) -> Path:
    path = folder / "0"
    path.touch()
    return path


def a_folder(folder: Path) -> Path:
    path = folder / "lost+found"
    path.mkdir()
    return path


def a_lease_that_is_a_folder(folder: Path) -> Path:
    path = folder / "old.lease"
    path.mkdir()
    return path


def a_dangling_link(folder: Path) -> Path:
    path = folder / "tmplink"
    path.symlink_to("nowhere")
    return path


def a_blob_elsewhere(folder: Path) -> Path:
    path = folder / ELSEWHERE
    path.touch()
    return path


@pytest.mark.parametrize(
    "leave", [left_by_nfs, empty, a_folder, a_lease_that_is_a_folder, a_dangling_link, a_blob_elsewhere]
)
def test_foreign_files_stop_nothing(leave: Callable[[Path], Path], store: LocalBlobStore) -> None:
    digest = store.put([b"weights"])
    unneeded = store.put([b"needed by nobody"])
    store.remember("key", digest)
    with store.receive("cut off") as incoming:
        incoming.write(b"the beginning")
    left = [leave(folder) for folder in sorted(store.root.rglob("*")) if folder.is_dir()]
    if leave is a_blob_elsewhere:  # In these two it is a blob's name as any other.
        left = [path for path in left if path.parent.name not in ("corrupt", "trash", "partial")]

    assert list(store.digests()) == sorted([digest, unneeded])
    check = check_store(store, [], Silent(), 1)
    assert check.sound
    assert check.unfinished == 1
    assert sorted(check.foreign) == sorted(map(str, left))
    with store.leased() as at_work:
        assert at_work.has(digest)
        swept = sweep(store, lambda: {digest})
    assert (swept.blobs, list(store.digests())) == (1, [digest])
    assert store.recall("key") == digest
    assert store.put([b"more"]) == Digest.parse(str(store.put([b"more"])))
    assert all(path.is_symlink() or path.exists() for path in left)
