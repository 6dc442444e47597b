"""Leases on a store that machines share, whose locks and listings each machine may see for itself alone."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.privileges import ordinary_owner
from weighbridge.domain.digest import Digest
from weighbridge.store import leases
from weighbridge.store.leases import LIFETIME_S, Lease, Leases
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.sweeping import SETTLED_S, Sweep, sweep

CONTENT = b"an old blob that nothing needs"
#: What takes the locks of a machine whose locks no other one sees.
_ALONE = SimpleNamespace(**{**vars(fcntl), "flock": lambda *_: None})


@pytest.fixture
def shared(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> LocalBlobStore:
    """Return a store on a file system that machines share."""
    monkeypatch.setattr(leases, "is_shared", lambda folder: True)
    return LocalBlobStore(store.root)


@pytest.fixture
def blob(shared: LocalBlobStore) -> Digest:
    return shared.put([CONTENT])


@contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run on another machine."""
    with monkeypatch.context() as there:
        there.setattr(leases, "_kernel", lambda: "f" * 32)
        there.setattr(leases, "fcntl", _ALONE)
        yield


def collect(store: LocalBlobStore) -> Sweep:
    return sweep(store, set)


def an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of the store's files be an hour ahead: when a file was moved cannot be written."""
    monkeypatch.setattr(Leases, "now", property(lambda self: time.time() + SETTLED_S + 1))


def files(store: LocalBlobStore) -> list[Path]:
    return list((store.root / "leases").glob("*.lease"))


def test_what_nothing_needs_is_deleted_an_hour_later(
    shared: LocalBlobStore, blob: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry = sweep(shared, set, dry_run=True)
    first = collect(shared)
    assert dry == first
    assert (first.blobs, first.size, first.freed, first.waiting) == (1, len(CONTENT), 0, len(CONTENT))
    assert list(shared.digests()) == []
    soon = collect(shared)
    assert (soon.blobs, soon.freed, soon.waiting) == (0, 0, len(CONTENT))
    an_hour_later(monkeypatch)
    assert sweep(shared, set, dry_run=True).freed == len(CONTENT)
    last = collect(shared)
    assert (last.blobs, last.freed, last.waiting) == (0, len(CONTENT), 0)
    assert not shared.has(blob)


def test_what_waits_for_its_deletion_is_there_for_who_looks(
    shared: LocalBlobStore, blob: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(shared)
    an_hour_later(monkeypatch)
    with shared.leased() as at_work:
        assert at_work.has(blob)
        assert collect(shared).held == 1
        assert at_work.path(blob).read_bytes() == CONTENT
    collect(shared)
    assert shared.path(blob).read_bytes() == CONTENT


def test_each_blob_waits_for_its_own_hour(
    shared: LocalBlobStore, blob: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else collections that come more often than hourly would never delete anything."""
    collect(shared)
    other = shared.put([b"set aside later"])
    collect(shared)
    trash = LocalBlobStore.trash

    def aged(store: LocalBlobStore) -> dict[Digest, object]:
        found = dict[Digest, object](trash(store))
        status = trash(store)[blob]
        moved_at = status.st_ctime - SETTLED_S
        return found | {blob: SimpleNamespace(st_size=status.st_size, st_nlink=status.st_nlink, st_ctime=moved_at)}

    monkeypatch.setattr(LocalBlobStore, "trash", aged)
    done = collect(shared)
    assert (done.freed, done.waiting) == (len(CONTENT), len(b"set aside later"))
    monkeypatch.undo()
    assert (shared.has(blob), shared.has(other)) == (False, True)


@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("until", range(4))
def test_no_order_of_looks_and_collections_loses_a_blob(
    shared: LocalBlobStore, blob: Digest, monkeypatch: pytest.MonkeyPatch, after: int, until: int
) -> None:
    """Another machine notes, looks and reads; the two collections come before each of these, or after all of them."""
    lease = Lease(LocalBlobStore(shared.root).leases)
    at_work = LocalBlobStore(shared.root)
    at_work._lease = lease
    found: list[bool] = []

    def note() -> None:
        with elsewhere(monkeypatch), lease.counting_on(blob):
            pass

    def look() -> None:
        with elsewhere(monkeypatch):
            found.append(at_work.has(blob))

    def read() -> None:
        if found[0]:
            assert at_work.path(blob).read_bytes() == CONTENT

    steps: list[Callable[[], None]] = [note, look, read, lease.end]
    for number, step in enumerate(steps):
        if number == after:
            collect(shared)
        if number == until:
            an_hour_later(monkeypatch)
            collect(shared)
        step()
    assert found == [(after, until) != (0, 0)]


def test_what_is_received_while_it_waits_for_its_deletion_is_there_once(shared: LocalBlobStore, blob: Digest) -> None:
    collect(shared)
    assert shared.put([CONTENT]) == blob
    assert list((shared.root / "trash").iterdir()) == []
    assert shared.path(blob).read_bytes() == CONTENT


def test_what_was_seen_where_it_no_longer_is_is_put_back(
    shared: LocalBlobStore, blob: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine goes on seeing a name for a minute after another one has moved it."""
    collect(shared)
    with elsewhere(monkeypatch):
        lease = Lease(LocalBlobStore(shared.root).leases)
        with lease.counting_on(blob):
            pass  # It sees the blob in its place, and moves nothing.
    an_hour_later(monkeypatch)
    assert collect(shared).freed == 0
    assert shared.path(blob).read_bytes() == CONTENT
    lease.end()


def test_the_lease_of_another_machine_counts_for_a_week(
    shared: LocalBlobStore, blob: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with elsewhere(monkeypatch):
        lease = Lease(LocalBlobStore(shared.root).leases)
        with lease.counting_on(blob):
            pass
    (path,) = files(shared)
    assert collect(shared).held == 1
    old = time.time() - LIFETIME_S - 1
    os.utime(path, (old, old))
    assert collect(shared).blobs == 1
    assert files(shared) == []


def test_long_work_renews_its_lease(shared: LocalBlobStore, blob: Digest, monkeypatch: pytest.MonkeyPatch) -> None:
    with shared.leased() as at_work:
        assert at_work.has(blob)
        (path,) = files(shared)
        os.utime(path, (0, 0))
        assert at_work.has(blob)
        assert path.stat().st_mtime == 0
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 2 * 3600)
        assert at_work.has(blob)
        assert path.stat().st_mtime > 0


def test_a_killed_process_of_this_machine_holds_nothing(shared: LocalBlobStore, blob: Digest) -> None:
    path = shared.root / "leases" / f"{leases._kernel()}-killed.lease"
    path.write_text(f"{blob}\n")
    assert collect(shared).blobs == 1
    assert not path.exists()


def test_half_a_line_is_not_yet_a_note(shared: LocalBlobStore, blob: Digest) -> None:
    (shared.root / "leases" / f"{'f' * 32}-writing.lease").write_text(f"{blob}\n{str(blob)[:30]}")
    assert collect(shared).held == 1


def test_work_that_touches_no_blob_leaves_no_file(store: LocalBlobStore) -> None:
    with store.leased() as at_work:
        assert files(store) == []
        assert not at_work.has(Digest.sha256(b"x"))
        assert len(files(store)) == 1
    assert files(store) == []


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_lease_may_be_read_by_whoever_may_read_the_store(store: LocalBlobStore, umask: None) -> None:
    blob = store.put([CONTENT])
    with store.leased() as at_work:
        assert at_work.has(blob)
        (path,) = files(store)
        assert path.stat().st_mode & 0o777 == 0o644
        path.chmod(0o444)
        with ordinary_owner():
            assert collect(store).held == 1
    path.touch(0o444)
    with ordinary_owner():
        assert collect(store).blobs == 1
    assert files(store) == []


def test_work_whose_lease_cannot_be_read_may_rely_on_any_blob(store: LocalBlobStore) -> None:
    blob, trashed = store.put([CONTENT]), store.put([b"set aside before"])
    store.set_aside(trashed)
    lease = store.root / "leases" / f"{leases._kernel()}-another.lease"
    lease.write_text(f"{blob}\n")
    lease.chmod(0)
    with ordinary_owner():
        dry, done = sweep(store, set, dry_run=True), collect(store)
    assert dry == done
    assert done.unread == (str(lease),)
    assert (done.blobs, done.kept, done.left) == (0, 1, len(CONTENT))
    assert done.freed == len(b"set aside before"), "nobody relies on what is in the trash"
    assert list(store.digests()) == [blob]
    old = time.time() - LIFETIME_S - 1
    os.utime(lease, (old, old))
    with ordinary_owner():
        done = collect(store)
    assert (done.blobs, done.unread, files(store)) == (1, (), [])


def test_a_lease_from_before_the_last_start_of_the_machine_is_over(store: LocalBlobStore) -> None:
    store.put([CONTENT])
    for name, unread in (("e" * 32, 0), ("tmp", 1)):
        lease = store.root / "leases" / f"{name}-left.lease"
        lease.write_bytes(b"")
        lease.chmod(0)
        with ordinary_owner():
            assert len(collect(store).unread) == unread, name


def test_a_lease_is_no_foreign_file(store: LocalBlobStore) -> None:
    with store.leased() as at_work:
        at_work.has(Digest.sha256(b"x"))
        assert list(store.foreign()) == []
