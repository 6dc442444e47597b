"""Sweeping a store: what nothing needs goes, and what a process at work counts on stays, whenever it is looked for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from tests.privileges import ordinary_owner
from weighbridge.domain.digest import Digest
from weighbridge.errors import StoreError
from weighbridge.store.leases import Lease
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.sweeping import PARTIAL_LIFETIME_DAYS, sweep

_DAY_S = 86_400


def put(store: LocalBlobStore, content: bytes) -> Digest:
    return store.put([content])


def nothing() -> set[Digest]:
    return set()


def test_what_nothing_needs_is_deleted_with_what_belongs_to_it(store: LocalBlobStore) -> None:
    kept, gone = put(store, b"kept"), put(store, bytes(5 << 20))
    assert store.piece_sums(gone, 5 << 20)
    done = sweep(store, lambda: {kept})
    assert (done.blobs, done.size, done.freed, done.kept) == (1, 5 << 20, 5 << 20, 1)
    assert list(store.digests()) == [kept]
    assert [path for path in store.root.rglob("*") if gone.hex in path.name] == []
    again = put(store, bytes(5 << 20))
    assert store.check(again) is None


def test_a_dry_run_says_the_same_and_deletes_nothing(store: LocalBlobStore) -> None:
    gone = put(store, b"gone")
    dry = sweep(store, nothing, dry_run=True)
    assert store.has(gone)
    assert sweep(store, nothing) == dry


def test_where_what_is_needed_cannot_be_read_nothing_is_deleted(store: LocalBlobStore) -> None:
    blob = put(store, b"blob")

    def fails() -> set[Digest]:
        raise StoreError("The catalog is away.")

    with pytest.raises(StoreError):
        sweep(store, fails)
    assert store.has(blob)
    sweep(store, lambda: {blob})


def test_bytes_that_another_name_keeps_are_not_freed(store: LocalBlobStore, tmp_path: Path) -> None:
    os.link(store.path(put(store, b"linked")), tmp_path / "elsewhere")
    done = sweep(store, nothing)
    assert (done.size, done.linked, done.freed) == (6, 6, 0)
    assert (tmp_path / "elsewhere").read_bytes() == b"linked"


def test_what_is_young_is_kept_on_request(store: LocalBlobStore) -> None:
    old, young = put(store, b"old"), put(store, b"young")
    os.utime(store.path(old), (0, time.time() - 3 * _DAY_S))
    done = sweep(store, nothing, 2 * _DAY_S)
    assert (done.blobs, done.young) == (1, 1)
    assert list(store.digests()) == [young]


def test_what_was_proven_before_it_was_given_out_stays_until_the_work_ends(store: LocalBlobStore) -> None:
    blob = put(store, b"given out as a link")
    with LocalBlobStore(store.root).leased() as at_work:
        at_work.prove(blob)
        assert sweep(store, nothing).held == 1
    assert sweep(store, nothing).blobs == 1


def test_work_that_ends_while_it_waits_for_a_collection_leaves_no_lease(store: LocalBlobStore) -> None:
    blob, lease = put(store, b"blob"), Lease(store.leases)

    def note() -> None:
        with lease.counting_on(blob):
            pass

    thread = Thread(target=note)
    with store.leases.collecting():
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        lease.end()
    thread.join()
    assert list((store.root / "leases").glob("*.lease")) == []


def test_what_was_told_to_be_here_stays_until_the_work_ends(store: LocalBlobStore) -> None:
    asked, other = put(store, b"asked for"), put(store, b"not asked for")
    with LocalBlobStore(store.root).leased() as at_work:
        assert at_work.has(asked)
        received = put(at_work, b"received meanwhile")
        done = sweep(store, nothing)
        assert (done.blobs, done.held) == (1, 2)
        assert at_work.path(asked).read_bytes() == b"asked for"
        assert not at_work.has(other)
        assert put(at_work, b"not asked for") == other
        assert sweep(store, nothing).blobs == 0
    assert sweep(store, nothing).blobs == 3
    assert not store.has(received)
    assert list((store.root / "leases").glob("*.lease")) == []


def test_what_a_killed_process_counted_on_is_free_again(store: LocalBlobStore) -> None:
    code = (
        "import os, sys; from pathlib import Path; from weighbridge.store.local import LocalBlobStore\n"
        "store = LocalBlobStore(Path(sys.argv[1]))\n"
        "with store.leased() as at_work:\n    at_work.put([b'mine']); print('ready', flush=True)\n"
        "    sys.stdin.read(); os._exit(9)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, store.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert sweep(store, nothing).held == 1
        child.communicate()
    assert sweep(store, nothing).blobs == 1
    assert list((store.root / "leases").glob("*.lease")) == []


def test_no_blob_is_lost_to_those_who_ask_while_others_sweep(store: LocalBlobStore) -> None:
    """Whoever is told that a blob is here, or put it there, reads it, however many sweeps run beside."""
    contents = [bytes([number]) * 100 for number in range(20)]
    lost: list[str] = []

    def work() -> None:
        for _ in range(15):
            with LocalBlobStore(store.root).leased() as at_work:
                for content in contents:
                    digest = Digest.sha256(content)
                    if not at_work.has(digest):
                        put(at_work, content)
                    try:
                        if at_work.path(digest).read_bytes() != content:
                            lost.append("other bytes")
                    except OSError as error:
                        lost.append(str(error))

    workers = [Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    deleted = 0
    while any(worker.is_alive() for worker in workers):
        deleted += sweep(store, nothing).blobs
    assert lost == []
    assert deleted


def test_a_sweep_that_was_killed_goes_on(store: LocalBlobStore) -> None:
    store.set_aside(put(store, b"half gone"))
    assert list((store.root / "trash").iterdir())
    sweep(store, nothing)
    assert list((store.root / "trash").iterdir()) == []


def test_downloads_that_nobody_goes_on_with_are_deleted_after_a_while(store: LocalBlobStore) -> None:
    long_ago = time.time() - (PARTIAL_LIFETIME_DAYS + 1) * _DAY_S

    def cut_off(key: str) -> None:
        with store.receive(key) as incoming:
            incoming.write(b"x" * 1000)

    cut_off("young")
    cut_off("old")
    old = max((store.root / "partial").iterdir(), key=lambda path: path.stat().st_mtime_ns * (path.suffix == ""))
    os.utime(old, (long_ago, long_ago))
    with store.receive("busy") as incoming:
        incoming.write(b"y" * 1000)
        assert incoming.offset == 1000
        busy = max((store.root / "partial").iterdir(), key=lambda path: path.stat().st_mtime_ns * (path.suffix == ""))
        os.utime(busy, (long_ago, long_ago))
        assert sweep(store, nothing).partial == 1000
        assert not old.exists()
        assert busy.exists()
    assert store.unfinished() == 2


def test_the_download_of_another_user_is_left_to_them(store: LocalBlobStore) -> None:
    long_ago = time.time() - (PARTIAL_LIFETIME_DAYS + 1) * _DAY_S
    for key in ("mine", "theirs"):
        with store.receive(key) as incoming:
            incoming.write(b"x" * 1000)
    parts = [path for path in (store.root / "partial").iterdir() if not path.suffix]
    for part in parts:
        os.utime(part, (long_ago, long_ago))
    parts[0].with_suffix(".lock").chmod(0o444)
    with ordinary_owner():
        assert sweep(store, nothing).partial == 1000
    assert [part.exists() for part in parts] == [True, False]


def test_a_broken_copy_of_what_nobody_needs_is_deleted(store: LocalBlobStore) -> None:
    needed, other = put(store, b"needed"), put(store, b"other")
    for digest in (needed, other):
        path = store.path(digest)
        path.chmod(0o644)
        path.write_bytes(b"broken")
        assert store.check(digest)
    sweep(store, lambda: {needed})
    assert list(store.corrupt_digests()) == [needed]
