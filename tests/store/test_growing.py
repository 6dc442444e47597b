"""Blobs that are read while they are received, by this process or another one, and never past what is proven."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from weighbridge.domain.digest import Digest
from weighbridge.errors import IntegrityError, SourceUnavailable, WeighbridgeError
from weighbridge.store.growing import GrowingBlob
from weighbridge.store.local import LocalBlobStore

CONTENT = bytes(range(256)) * 4096 * 3
DIGEST, KEY = Digest.sha256(CONTENT), "key"


@dataclass
class Receiver:
    """Says what becomes of a blob."""

    has_ended: bool = False
    error: WeighbridgeError | None = None


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "store")


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def growing(store: LocalBlobStore, receiver: Receiver) -> Iterator[GrowingBlob]:
    blob = GrowingBlob(store, store.part(KEY), DIGEST, len(CONTENT), receiver)
    yield blob
    blob.close()


def read(pieces: Iterator[bytes]) -> bytes:
    """Read as far as there is anything."""
    found = b""
    while piece := next(pieces, b""):
        found += piece
    return found


def test_bytes_are_read_as_they_come_and_the_last_one_when_all_are_right(
    store: LocalBlobStore, growing: GrowingBlob
) -> None:
    pieces = growing.whole()
    assert read(pieces) == b""
    assert not growing.is_ready
    with store.receive(KEY) as incoming:
        incoming.write(CONTENT[:700_000])
        assert incoming.offset == 700_000
        assert growing.is_ready
        assert read(pieces) == CONTENT[:700_000]
        assert not growing.is_ready
        incoming.write(CONTENT[700_000:])
        assert incoming.offset == len(CONTENT)
        assert read(pieces) == CONTENT[700_000:-1]
        assert not growing.is_ready, "nothing says yet that these are the right bytes"
        incoming.commit(DIGEST)
    assert growing.is_ready
    assert read(pieces) == CONTENT[-1:]


def test_a_range_waits_until_it_is_there(store: LocalBlobStore, growing: GrowingBlob) -> None:
    early, tail = growing.part(0, 1), growing.part(len(CONTENT) - 7, len(CONTENT))
    with store.receive(KEY) as incoming:
        incoming.write(CONTENT[:1000])
        assert incoming.offset == 1000
        assert read(early) == CONTENT[:1]
        assert read(tail) == b""
        incoming.write(CONTENT[1000:])
        incoming.commit(DIGEST)
    assert read(tail) == CONTENT[-7:]


def test_what_is_received_anew_is_not_mixed_with_what_was_read(store: LocalBlobStore, growing: GrowingBlob) -> None:
    pieces = growing.whole()
    with store.receive(KEY) as incoming:
        incoming.write(bytes(700_000))
        assert incoming.offset == 700_000
        assert read(pieces) == bytes(700_000)
        incoming.restart()
        incoming.write(CONTENT)
        incoming.commit(DIGEST)
    with pytest.raises(IntegrityError, match="received anew"):
        read(pieces)


def test_who_has_read_nothing_yet_is_given_what_is_received_anew(store: LocalBlobStore, growing: GrowingBlob) -> None:
    pieces = growing.part(900_000, len(CONTENT))
    with store.receive(KEY) as incoming:
        incoming.write(bytes(700_000))
        assert incoming.offset == 700_000
        assert read(pieces) == b""
        incoming.restart()
        incoming.write(CONTENT)
        incoming.commit(DIGEST)
    assert read(pieces) == CONTENT[900_000:]


def test_a_wrong_digest_is_an_error_for_who_reads(
    store: LocalBlobStore, growing: GrowingBlob, receiver: Receiver
) -> None:
    pieces = growing.whole()
    with store.receive(KEY) as incoming:
        incoming.write(bytes(len(CONTENT)))
        assert incoming.offset == len(CONTENT)
        assert read(pieces) == bytes(len(CONTENT) - 1)
        with pytest.raises(IntegrityError) as wrong:
            incoming.commit(DIGEST)
    receiver.has_ended, receiver.error = True, wrong.value
    with pytest.raises(IntegrityError):
        read(pieces)
    assert not store.part(KEY).stat().st_size, "nothing is kept"


def test_a_failure_ends_what_waits(growing: GrowingBlob, receiver: Receiver) -> None:
    pieces = growing.whole()
    receiver.has_ended, receiver.error = True, SourceUnavailable("It is away.")
    assert growing.is_ready
    with pytest.raises(SourceUnavailable, match="away"):
        read(pieces)


def test_a_damaged_part_is_replaced_and_not_changed(store: LocalBlobStore, growing: GrowingBlob) -> None:
    """What another process left is cut where its piece sums do not fit; who reads it meanwhile keeps what was there."""
    with store.receive(KEY) as incoming:
        incoming.write(CONTENT[: 2 * 1024**2 + 5])
    part = store.part(KEY)
    with part.open("r+b") as file:
        file.seek(1024**2 + 7)
        file.write(b"!")
    pieces = growing.whole()
    assert len(read(pieces)) == 2 * 1024**2 + 5
    with store.receive(KEY) as incoming:
        assert incoming.offset == 1024**2
        incoming.write(CONTENT[1024**2 :])
        incoming.commit(DIGEST)
    with pytest.raises(IntegrityError):
        read(pieces)
    assert store.path(DIGEST).read_bytes() == CONTENT


def test_another_process_receives_it(store: LocalBlobStore, growing: GrowingBlob, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom weighbridge.domain.digest import Digest\n"
        "from weighbridge.store.local import LocalBlobStore\n"
        "content = bytes(range(256)) * 4096 * 3\n"
        "with LocalBlobStore(Path(sys.argv[1])).receive('key') as incoming:\n"
        "    for start in range(0, len(content), 65536):\n"
        "        incoming.write(content[start : start + 65536])\n"
        "    incoming.commit(Digest.sha256(content))\n"
    )
    found: list[bytes] = []

    def follow() -> None:
        pieces = growing.whole()
        while sum(map(len, found)) < len(CONTENT):
            found.append(next(pieces))

    thread = Thread(target=follow)
    thread.start()
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=True, timeout=60)
    thread.join(30)
    assert b"".join(found) == CONTENT
