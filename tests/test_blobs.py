import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from weighbridge.blobs import LocalBlobStore
from weighbridge.digest import Digest
from weighbridge.errors import BlobMissing, IntegrityError, StoreError, StoreFull


def test_content_is_kept_once_and_read_only(store: LocalBlobStore) -> None:
    first = store.put([b"wei", b"ghts"])
    second = store.put([b"weights"], expected=Digest.sha256(b"weights"))
    assert first == second == Digest.sha256(b"weights")
    assert list(store.digests()) == [first]
    with store.open(first) as file:
        assert file.read() == b"weights"
    assert stat.S_IMODE(store.path(first).stat().st_mode) == 0o444
    assert not [path for path in (store.root / "partial").iterdir() if path.suffix != ".lock"]


def test_wrong_bytes_get_no_name(store: LocalBlobStore) -> None:
    with pytest.raises(IntegrityError) as error:
        store.put([b"other"], expected=Digest.sha256(b"weights"))
    assert error.value.facts == {
        "expected": str(Digest.sha256(b"weights")),
        "actual": str(Digest.sha256(b"other")),
    }
    assert not list(store.digests())


def test_what_is_not_there_is_missing(store: LocalBlobStore) -> None:
    with pytest.raises(BlobMissing):
        store.open(Digest.sha256(b"nothing"))


def test_resume_goes_on_after_what_arrived(store: LocalBlobStore) -> None:
    with store.receive("key") as incoming:
        incoming.write(b"wei")
    assert store.unfinished() == 1
    with store.receive("key", extra=("git-sha1",), size=7) as incoming:
        assert incoming.offset == 3
        incoming.write(b"ghts")
        digest = incoming.commit(Digest("git-sha1", "3ab313fff6f41bb35969cd359e9ddfb8033b3ac2"))
    assert digest == Digest.sha256(b"weights")
    assert store.unfinished() == 0


def test_wrong_bytes_are_dropped_before_the_next_try(store: LocalBlobStore) -> None:
    with store.receive("key") as incoming:
        incoming.write(b"poison")
        with pytest.raises(IntegrityError):
            incoming.commit(Digest.sha256(b"weights"))
    with store.receive("key") as incoming:
        assert incoming.offset == 0


def test_alias_stands_for_a_blob_only_while_it_is_here(store: LocalBlobStore) -> None:
    digest = store.put([b"x"])
    store.remember("etag", digest)
    assert store.recall("etag") == digest
    store.path(digest).unlink()
    assert store.recall("etag") is None
    assert store.recall("never") is None


def test_check_moves_a_broken_blob_aside(store: LocalBlobStore) -> None:
    digest = store.put([b"weights"])
    assert store.check(digest) is None
    path = store.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"weighty")
    damage = store.check(digest)
    assert damage is not None
    assert damage.actual == Digest.sha256(b"weighty")
    assert damage.moved_to.read_bytes() == b"weighty"
    assert not store.has(digest)


_KILLED = """
import os, signal, sys
from pathlib import Path
from weighbridge.blobs import LocalBlobStore
store = LocalBlobStore(Path(sys.argv[1]))
with store.receive("key") as incoming:
    incoming.write(b"wei")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_no_blob_and_no_lock(store: LocalBlobStore) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(store.root)], check=False)
    assert done.returncode == -9
    assert not list(store.digests())
    with store.receive("key") as incoming:
        assert incoming.offset == 3


def _receive(root: Path, results: "multiprocessing.Queue[int]") -> None:
    store = LocalBlobStore(root)
    with store.receive("key") as incoming:
        if store.has(Digest.sha256(b"weights" * 1000)):
            results.put(0)
            return
        for _ in range(1000):
            incoming.write(b"weights")
        incoming.commit()
        results.put(1)


def test_of_several_processes_one_receives(store: LocalBlobStore) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_receive, args=(store.root, results)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(results.get(timeout=5) for _ in processes) == [0, 0, 1]
    assert store.path(Digest.sha256(b"weights" * 1000)).stat().st_size == 7000


_FULL = """
import sys
from pathlib import Path
from weighbridge.blobs import LocalBlobStore
from weighbridge.errors import StoreFull
store = LocalBlobStore(Path(sys.argv[1]) / "store")
try:
    with store.receive("key") as incoming:
        for _ in range(64):
            incoming.write(bytes(1024 * 1024))
except StoreFull as error:
    assert "WEIGHBRIDGE_HOME" in str(error)
    assert not list(store.digests())
    assert store.unfinished() == 1
    sys.exit(42)
"""


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    # A real small disk: a tmpfs in a mount namespace of its own.
    command = f'mount -t tmpfs -o size=8m tmpfs "{small}" && exec "{sys.executable}" -c \'{_FULL}\' "{small}"'
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*namespace, f'mount -t tmpfs tmpfs "{small}"'], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no mount namespace; the quota test below covers the error")
    assert subprocess.run([*namespace, command], check=False).returncode == 42


def test_enospc_from_the_system_is_store_full(store: LocalBlobStore) -> None:
    with store.receive("key") as incoming, open("/dev/full", "wb", buffering=0) as full:
        incoming._file.close()
        incoming._file = full
        with pytest.raises(StoreFull):
            incoming.write(b"x")


def test_an_unwritable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as error:
        LocalBlobStore(tmp_path / "file" / "store")
    assert error.value.remedy
    assert os.listdir(tmp_path) == ["file"]
