"""Blobs read to be given out piece by piece: a damaged one never arrives whole at whom it is given.

A blob that this process has not hashed yet is hashed while all of it is read, and its last piece is held back until the
hash is right. Where parts of it are read, a small blob is hashed first, and a large one beside them. Not here: giving
out files under another name (registries), and setting a damaged blob aside (store.local).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Lock, Thread

from weighbridge.domain.digest import Digest, Hasher
from weighbridge.errors import IntegrityError, WeighbridgeError
from weighbridge.store.failures import store_errors
from weighbridge.store.local import LocalBlobStore

#: Bytes that are read at once: every reader holds two such pieces in memory.
PIECE = 256 * 1024
#: Bytes of a blob that is hashed before a part of it is read; that takes less than a tenth of a second.
_HASHED_FIRST = 64 * 1024**2


class OpenBlob:
    """A blob that is being read; `BlobReadings.open` makes one. Close it at the end.

    Attributes:
        size: in bytes.
    """

    def __init__(self, readings: BlobReadings, digest: Digest) -> None:
        self._readings, self._digest = readings, digest
        path = readings.store.path(digest)
        with store_errors(path):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._status = os.fstat(self._descriptor)
        self.size = self._status.st_size

    def close(self) -> None:
        """Close the file; a second call is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`. Raises IntegrityError where the blob turns out damaged."""
        if not self._is_proven:
            self._readings.prove(self._digest, self._status)
        return self._read(start, stop)

    def whole(self) -> Iterator[bytes]:
        """Yield all bytes. Raises IntegrityError instead of the last piece where the blob is damaged."""
        return self._read(0, self.size) if self._is_proven else self._hashed()

    @property
    def _is_proven(self) -> bool:
        return self._readings.store.is_proven(self._digest, self._status)

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
            if self._readings.is_damaged(self._digest, self._status):
                raise self._damaged()
            with store_errors(self._readings.store.root):
                piece = os.pread(self._descriptor, min(PIECE, stop - start), start)
            if not piece:
                raise self._damaged()
            yield piece
            start += len(piece)

    def _damaged(self) -> IntegrityError:
        return IntegrityError(
            f"The blob {self._digest} is damaged on the disk.", "See `weighbridge fsck`.", expected=str(self._digest)
        )


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
        return OpenBlob(self, digest)

    def is_damaged(self, digest: Digest, status: os.stat_result) -> bool:
        """Return whether a proof that ran beside reading found a blob's file damaged."""
        return (digest, status.st_ino) in self._damaged

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
