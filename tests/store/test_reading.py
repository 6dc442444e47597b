"""Blobs that are read to be given out: a damaged one never arrives whole."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from weighbridge.domain.digest import Digest
from weighbridge.errors import BlobMissing, IntegrityError
from weighbridge.store import reading
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.reading import PIECE, BlobReadings, OpenBlob

CONTENT = bytes(range(256)) * (PIECE // 256) * 3 + b"end"


def stored(root: Path, *, damaged: bool = False) -> tuple[LocalBlobStore, Digest]:
    """Return a store, as another process finds it, and its only blob."""
    digest = LocalBlobStore(root).put([CONTENT])
    store = LocalBlobStore(root)
    if damaged:
        path = store.path(digest)
        path.chmod(0o600)
        path.write_bytes(b"!" + CONTENT[1:])
    return store, digest


def test_all_and_parts(tmp_path: Path) -> None:
    store, digest = stored(tmp_path)
    for _ in range(2):  # The second time it is known to be whole.
        opened = BlobReadings(store).open(digest)
        assert (opened.size, b"".join(opened.whole())) == (len(CONTENT), CONTENT)
        assert b"".join(opened.part(5, PIECE + 9)) == CONTENT[5 : PIECE + 9]
        assert list(opened.part(7, 7)) == []
        opened.close()
        opened.close()


def test_an_empty_blob(store: LocalBlobStore) -> None:
    opened = BlobReadings(store).open(store.put([b""]))
    assert (opened.size, list(opened.whole()), list(opened.part(0, 0))) == (0, [], [])
    opened.close()


def test_the_last_piece_of_a_damaged_blob_is_held_back(tmp_path: Path) -> None:
    store, digest = stored(tmp_path, damaged=True)
    opened = BlobReadings(store).open(digest)
    arrived: list[bytes] = []
    with pytest.raises(IntegrityError):
        arrived.extend(opened.whole())
    opened.close()
    assert len(b"".join(arrived)) < len(CONTENT)
    assert not store.has(digest)
    with pytest.raises(BlobMissing):
        BlobReadings(store).open(digest)


def test_no_part_of_a_small_damaged_blob_is_read(tmp_path: Path) -> None:
    store, digest = stored(tmp_path, damaged=True)
    opened = BlobReadings(store).open(digest)
    with pytest.raises(IntegrityError):
        list(opened.part(100, 200))
    opened.close()


def test_a_large_blob_is_hashed_beside_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_HASHED_FIRST", 10)
    store, digest = stored(tmp_path, damaged=True)
    readings = BlobReadings(store)
    opened = readings.open(digest)
    with readings._turn:  # The proof waits for it.
        parts = opened.part(0, len(CONTENT))
        assert next(parts)
    deadline = time.monotonic() + 30
    while store.has(digest) and time.monotonic() < deadline:
        time.sleep(0.01)
    while not readings._damaged and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(IntegrityError):
        list(opened.part(0, 10))
    with pytest.raises(IntegrityError):
        list(parts)
    opened.close()
    again = BlobReadings(store).open(store.put([CONTENT]))
    assert again.size == len(CONTENT), "it is whole again"
    again.close()


def test_a_blob_that_became_shorter(tmp_path: Path) -> None:
    store, digest = stored(tmp_path)
    opened = BlobReadings(store).open(digest)
    assert b"".join(opened.whole()) == CONTENT
    parts = opened.part(0, len(CONTENT))
    next(parts)
    path = store.path(digest)
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.truncate(PIECE)
    with pytest.raises(IntegrityError):
        list(parts)
    opened.close()


def opened_at_once(store: LocalBlobStore, digest: Digest) -> OpenBlob:
    found = BlobReadings(store).open_at_once(digest)
    assert found is not None, "it was just written"
    return found


def test_a_small_blob_is_read_and_hashed_at_once(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    digest, empty = LocalBlobStore(tmp_path).put([b"small"]), LocalBlobStore(tmp_path).put([b""])
    opened = opened_at_once(store, digest)
    assert opened.at_once(1, 3) is None, "a part of what nobody hashed yet"
    assert opened.at_once(0, 5) == b"small"
    assert opened.at_once(1, 3) == b"ma"
    opened.close()
    opened = opened_at_once(store, empty)
    assert opened.at_once(0, 0) == b""
    opened.close()
    assert BlobReadings(store).open_at_once(Digest.sha256(b"missing")) is None


def test_a_large_blob_is_read_at_once_only_where_it_was_hashed(tmp_path: Path) -> None:
    store, digest = stored(tmp_path)
    opened = opened_at_once(store, digest)
    assert (opened.at_once(0, len(CONTENT)), opened.at_once(3, 9)) == (None, None)
    assert b"".join(opened.whole()) == CONTENT
    assert opened.at_once(3, 9) == CONTENT[3:9]
    assert opened.at_once(0, len(CONTENT)) is None, "the kernel sends it"
    opened.close()


def test_a_small_damaged_blob_is_not_read_at_once(tmp_path: Path) -> None:
    store, digest = LocalBlobStore(tmp_path), LocalBlobStore(tmp_path).put([b"small"])
    path = store.path(digest)
    path.chmod(0o600)
    path.write_bytes(b"smoll")
    opened = opened_at_once(store, digest)
    assert opened.at_once(0, 5) is None
    assert not opened.is_proven
    opened.close()
