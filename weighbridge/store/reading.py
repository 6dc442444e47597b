"""Blobs read to be given out piece by piece: a damaged one never arrives whole at whom it is given.

A blob that this process has not hashed yet is hashed while all of it is read, and its last piece is held back until the
hash is right. Where parts of it are read, a small blob is hashed first, and a large one beside them, once for all who
read it. The kernel can send a blob that was hashed, or is large, span by span, without its passing through memory. Not
here: giving out files under another name (registries), and setting a damaged blob aside (store.local).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from threading import Lock, Thread

from weighbridge.domain.digest import Digest, Hasher
from weighbridge.errors import IntegrityError, WeighbridgeError
from weighbridge.store.failures import store_errors
from weighbridge.store.local import LocalBlobStore
from weighbridge.system import without_waiting

#: Bytes that are read at once: every reader holds two such pieces in memory.
PIECE = 256 * 1024
#: Bytes that the kernel is told to send at once; whether the blob is still sound is asked before each.
SPAN = 4 * 1024**2
#: Bytes that are read without a thread where they are in memory, and of a blob that is hashed then.
AT_ONCE, _HASHED_AT_ONCE = 128 * 1024, 64 * 1024
#: Bytes of a blob that is hashed before a part of it is read; that takes less than a tenth of a second.
_HASHED_FIRST = 64 * 1024**2


class OpenBlob:
    """A blob that is being read; `BlobReadings.open` makes one. Close it at the end.

    Attributes:
        file: the open file, for the kernel to send.
        size: in bytes.
    """

    def __init__(self, readings: BlobReadings, digest: Digest, file: FileIO) -> None:
        self._readings, self._digest, self.file = readings, digest, file
        self._status = os.fstat(file.fileno())
        self.size = self._status.st_size

    def close(self) -> None:
        """Close the file; a second call is harmless."""
        self.file.close()

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`. Raises IntegrityError where the blob turns out damaged."""
        if not self.is_proven:
            self._readings.prove(self._digest, self._status)
        return self._read(start, stop)

    def whole(self) -> Iterator[bytes]:
        """Yield all bytes. Raises IntegrityError instead of the last piece where the blob is damaged."""
        return self._read(0, self.size) if self.is_proven else self._hashed()

    def at_once(self, start: int, stop: int) -> bytes | bytearray | None:
        """Return the bytes from `start` to before `stop` without waiting, or None where that cannot be done.

        They are in memory, few, and right: the blob was hashed before, or is so small that it is hashed now.

        Raises:
            IntegrityError: a proof that ran beside reading found the blob damaged.
        """
        is_proven, length = self.is_proven, stop - start
        if length > (AT_ONCE if is_proven else _HASHED_AT_ONCE) or not (is_proven or length == self.size):
            return None
        self._refuse_damaged()
        content = without_waiting.read(self.file, start, length)
        if content is None or is_proven:
            return content
        if Digest.sha256(bytes(content)) != self._digest:
            return None  # To set it aside takes a while.
        self._readings.store.note_proven(self._digest, self._status)
        return content

    @property
    def is_proven(self) -> bool:
        """Whether this process hashed the blob since its file last changed."""
        return self._readings.store.is_proven(self._digest, self._status)

    def in_file(self) -> OpenBlob:
        """Return the blob: its bytes are given out as they are in its file."""
        return self

    @property
    def is_large(self) -> bool:
        """Whether it is hashed beside reading."""
        return self.size > _HASHED_FIRST

    @property
    def is_being_proven(self) -> bool:
        """Whether it is hashed beside reading now."""
        return self._readings.is_being_proven(self._digest)

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield beginning and length of each span from `start` to before `stop`, to be sent as it is in the file.

        Raises IntegrityError where the blob turns out damaged, or its file is changed meanwhile.
        """
        if not self.is_proven:
            self._readings.prove(self._digest, self._status)
        while start < stop:
            self.refuse_changed()
            length = min(SPAN, stop - start)
            yield start, length
            start += length

    def is_in_memory(self, start: int, length: int) -> bool:
        """Return whether a span can be sent without waiting for the disk; False where the system cannot tell."""
        return without_waiting.is_there(self.file, start, length)

    def load(self, start: int, length: int) -> None:
        """Have a span read from the disk, and wait until it is in memory."""
        with store_errors(self._readings.store.root):
            load(self.file, start, length)

    def _hashed(self) -> Iterator[bytes]:
        hasher, held = Hasher(), b""
        for piece in self._read(0, self.size):
            hasher.update(piece)
            if held:
                yield held
            held = piece
        if hasher.digests["sha256"] != self._digest:
            self._readings.store.prove(self._digest)
            raise self._damaged()
        self._readings.store.note_proven(self._digest, self._status)
        if held:
            yield held

    def _read(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            self._refuse_damaged()
            with store_errors(self._readings.store.root):
                piece = os.pread(self.file.fileno(), min(PIECE, stop - start), start)
            if not piece:
                raise self._damaged()
            yield piece
            start += len(piece)

    def refuse_changed(self) -> None:
        """Refuse to go on with a blob that turned out damaged, or whose file was changed. Raises IntegrityError."""
        now = os.fstat(self.file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise self._damaged()
        self._refuse_damaged()

    def _refuse_damaged(self) -> None:
        if self._readings.is_damaged(self._digest, self._status):
            raise self._damaged()

    def _damaged(self) -> IntegrityError:
        return IntegrityError(
            f"The blob {self._digest} is damaged on the disk.", "See `weighbridge fsck`.", expected=str(self._digest)
        )


def load(file: FileIO, start: int, length: int) -> None:
    """Have a span of a file read from the disk, and wait until it is in memory."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_WILLNEED)
    os.pread(file.fileno(), 1, start + length - 1)


class BlobReadings:
    """Opens blobs of a store to give them out. Safe for threads.

    Attributes:
        store: the store.
    """

    def __init__(self, store: LocalBlobStore) -> None:
        self.store = store
        self._lock, self._turn = Lock(), Lock()
        self._running: set[Digest] = set()
        self._damaged: set[tuple[Digest, int]] = set()

    def open(self, digest: Digest) -> OpenBlob:
        """Open a blob. Raises BlobMissing."""
        path = self.store.path(digest)
        with store_errors(path):
            return OpenBlob(self, digest, FileIO(path))

    def open_at_once(self, digest: Digest) -> OpenBlob | None:
        """Open a blob where that needs no wait; else None, also where it is missing."""
        file = without_waiting.open_file(self.store.place(digest))
        return OpenBlob(self, digest, file) if file is not None else None

    def is_damaged(self, digest: Digest, status: os.stat_result) -> bool:
        """Return whether a proof that ran beside reading found a blob's file damaged."""
        return (digest, status.st_ino) in self._damaged

    def is_being_proven(self, digest: Digest) -> bool:
        """Return whether a blob is hashed beside reading now."""
        return digest in self._running

    def prove(self, digest: Digest, status: os.stat_result) -> None:
        """Hash a small blob now, and a large one in a thread of its own. Raises IntegrityError for a damaged one."""
        if status.st_size <= _HASHED_FIRST:
            self.store.prove(digest)
            return
        with self._lock:
            if digest in self._running:
                return
            self._running.add(digest)
        Thread(target=self._prove, args=(digest, status.st_ino), name=f"proof-{digest.hex[:8]}", daemon=True).start()

    def _prove(self, digest: Digest, file: int) -> None:
        try:
            with self._turn:  # One at a time: the disk has other readers.
                self.store.prove(digest)
        except WeighbridgeError:
            self._damaged.add((digest, file))
        finally:
            with self._lock:
                self._running.discard(digest)
