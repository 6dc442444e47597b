import hashlib
import multiprocessing
import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from weighbridge.domain.digest import Digest
from weighbridge.errors import BlobMissing, IntegrityError, StoreError, StoreFull
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.piece_sums import HEADER, PIECE, WIDTH
from weighbridge.store.write_behind import BATCH


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
from weighbridge.store.local import LocalBlobStore
store = LocalBlobStore(Path(sys.argv[1]))
with store.receive("key") as incoming:
    incoming.write(b"wei")
    assert incoming.offset == 3  # Whoever looks has it written.
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
from weighbridge.store.local import LocalBlobStore
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
        incoming.write(b"x")
        for _ in range(2):
            with pytest.raises(StoreFull):
                incoming.commit()


def test_a_large_file_ends_while_it_arrives_where_no_space_is_left(store: LocalBlobStore) -> None:
    with store.receive("key") as incoming, open("/dev/full", "wb", buffering=0) as full:
        incoming._file.close()
        incoming._file = full
        incoming.write(LARGE[:PIECE])
        with pytest.raises(StoreFull):
            incoming.write(LARGE[PIECE:])


def test_an_unwritable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as error:
        LocalBlobStore(tmp_path / "file" / "store")
    assert error.value.remedy
    assert os.listdir(tmp_path) == ["file"]


LARGE = random.Random(1).randbytes(5 * PIECE + 1000)


def partial(store: LocalBlobStore, suffix: str = "") -> Path:
    (part,) = [path for path in (store.root / "partial").iterdir() if path.suffix == suffix]
    return part


def cut_off(store: LocalBlobStore, size: int, chunk: int = 300_000) -> Path:
    """Receive the first bytes of LARGE and return the file that they are in."""
    with store.receive("key") as incoming:
        for start in range(0, size, chunk):
            incoming.write(LARGE[start : min(start + chunk, size)])
    return partial(store)


def flip(path: Path, position: int) -> None:
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(position)
        (old,) = file.read(1)
        file.seek(position)
        file.write(bytes([old ^ 1]))


def resumed(store: LocalBlobStore, extra: tuple[str, ...] = ()) -> int:
    """Finish the download of LARGE and return how many bytes of it were here."""
    with store.receive("key", extra=extra, size=len(LARGE)) as incoming:
        offset = incoming.offset
        incoming.write(LARGE[offset:])
        assert incoming.commit(Digest(extra[0], hashlib.new(extra[0], LARGE).hexdigest()) if extra else None)
    assert list(store.digests()) == [Digest.sha256(LARGE)]
    return offset


@pytest.mark.parametrize("chunk", [1000, 65_536, PIECE, 3 * PIECE + 1, len(LARGE)])
def test_sums_of_a_large_blob_are_kept_beside_it(store: LocalBlobStore, chunk: int) -> None:
    digest = store.put(LARGE[start : start + chunk] for start in range(0, len(LARGE), chunk))
    expected = tuple(hashlib.sha256(LARGE[: end * PIECE]).digest()[:WIDTH] for end in range(1, 6))
    assert store.piece_sums(digest, len(LARGE)) == expected
    assert (store.root / "pieces" / digest.hex[:2] / digest.hex).stat().st_size == len(HEADER) + 5 * WIDTH
    assert not list((store.root / "partial").iterdir())


def test_a_small_blob_has_no_sums(store: LocalBlobStore) -> None:
    digest = store.put([LARGE[: 4 * PIECE - 1]])
    assert store.piece_sums(digest, 4 * PIECE - 1) is None
    assert not [path for path in (store.root / "pieces").rglob("*") if path.is_file()]
    assert not list((store.root / "partial").iterdir())


@pytest.mark.parametrize("content", [b"", b"something else", HEADER[:-1], HEADER + bytes(WIDTH), HEADER + bytes(39)])
def test_sums_that_are_not_all_there_count_as_none(store: LocalBlobStore, content: bytes) -> None:
    digest = store.put([LARGE])
    (store.root / "pieces" / digest.hex[:2] / digest.hex).write_bytes(content)
    assert store.piece_sums(digest, len(LARGE)) is None


@pytest.mark.parametrize(
    ("position", "left"),
    [(0, 0), (PIECE - 1, 0), (PIECE, PIECE), (2 * PIECE + 5, 2 * PIECE), (4 * PIECE - 1, 3 * PIECE)],
)
def test_bytes_that_changed_on_disk_are_cut_off(store: LocalBlobStore, position: int, left: int) -> None:
    flip(cut_off(store, 5_000_000), position)
    assert resumed(store, ("sha512",)) == left
    assert store.piece_sums(Digest.sha256(LARGE), len(LARGE)) is not None


def test_what_a_lost_disk_cache_left_is_cut_off(store: LocalBlobStore) -> None:
    part = cut_off(store, 5_000_000)
    os.truncate(part, 2 * PIECE + 9)
    os.truncate(part, 5_000_000)  # Zeros where nothing was written, and the sums of what should be there.
    assert resumed(store) == 2 * PIECE


def test_bytes_whose_sums_were_lost_are_cut_off(store: LocalBlobStore) -> None:
    cut_off(store, 5_000_000)
    os.truncate(partial(store, ".pieces"), len(HEADER) + 2 * WIDTH + 3)
    assert resumed(store) == 2 * PIECE


def test_a_file_that_is_shorter_than_its_sums_is_resumed(store: LocalBlobStore) -> None:
    os.truncate(cut_off(store, 5_000_000), 3_000_000)
    assert resumed(store) == 3_000_000
    assert store.piece_sums(Digest.sha256(LARGE), len(LARGE)) is not None


@pytest.mark.parametrize("sums", [None, b"", b"something else"])
def test_a_download_of_an_older_weighbridge_is_resumed(store: LocalBlobStore, sums: bytes | None) -> None:
    cut_off(store, 5_000_000)
    partial(store, ".pieces").unlink()
    if sums is not None:
        partial(store).with_suffix(".pieces").write_bytes(sums)
    assert resumed(store) == 5_000_000
    assert store.piece_sums(Digest.sha256(LARGE), len(LARGE)) is not None


def test_a_dropped_blob_leaves_no_sums_for_the_next(store: LocalBlobStore) -> None:
    with store.receive("key") as incoming:
        incoming.write(bytes(5 * PIECE))
        with pytest.raises(IntegrityError):
            incoming.commit(Digest.sha256(LARGE))
        incoming.write(LARGE)
        digest = incoming.commit(Digest.sha256(LARGE))
    sums = store.piece_sums(digest, len(LARGE))
    assert sums is not None
    assert sums[0] == hashlib.sha256(LARGE[:PIECE]).digest()[:WIDTH]


_KILLED_LATE = """
import os, signal, sys
from pathlib import Path
from weighbridge.store.local import LocalBlobStore
store = LocalBlobStore(Path(sys.argv[1]))
with store.receive("key") as incoming:
    incoming.write(sys.stdin.buffer.read())
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_costs_the_batch_that_is_gathered_and_the_one_that_is_written_at_most(store: LocalBlobStore) -> None:
    arrived = LARGE[:4_700_000]
    done = subprocess.run([sys.executable, "-c", _KILLED_LATE, str(store.root)], input=arrived, check=False)
    assert done.returncode == -9
    assert store.unfinished() == 1
    assert len(arrived) - 2 * BATCH <= resumed(store) <= len(arrived)


def test_a_blob_that_the_disk_no_longer_gives_is_damaged(store: LocalBlobStore) -> None:
    digest = store.put([b"weights"])
    path = store.path(digest)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # Reading its first page is an I/O error, as of a broken disk.
    damage = store.check(digest)
    assert damage is not None
    assert damage.actual is None
    assert not store.has(digest)


def test_a_lock_that_a_stopped_process_holds_is_waited_for_with_a_word_and_an_end(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("weighbridge.store.turns.PATIENCE_S", 0.1)
    with store.receive("key") as incoming, pytest.raises(StoreError, match="without a byte"), store.receive("key"):
        pass
    assert "Waiting for another process" in caplog.text
    assert incoming.offset == 0
    with store.receive("key"):
        pass


def test_foreign_and_empty_files_in_the_store_are_named_or_replaced(store: LocalBlobStore) -> None:
    digest = store.put([b"weights"])
    store.remember("key", digest)
    (alias,) = (path for path in (store.root / "aliases").glob("*/*"))
    for content in (b"", b"\xff\xff", b"sha256:ab"):
        alias.write_bytes(content)
        assert store.recall("key") is None
    store.remember("key", digest)
    assert store.recall("key") == digest
    left = [store.path(digest).with_name(".nfs0000000012345678"), store.root / "corrupt" / ".nfs01"]
    for path in left:
        path.write_bytes(b"left over")
    assert list(store.digests()) == [digest]
    assert list(store.corrupt_digests()) == []
    assert sorted(store.foreign()) == sorted(left)
