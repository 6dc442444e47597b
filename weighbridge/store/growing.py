"""A blob read while it is still being received, by this process or another one, on this machine or another one.

Received bytes are only ever appended to a file (store.incoming), so what was read of it is part of the blob if that
file becomes the blob. Its last byte is held back until it has: who reads all of it has the right bytes, or an error.
Not here: receiving it (store.local), and whole blobs (store.reading).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from weighbridge.domain.digest import Digest
from weighbridge.errors import BlobMissing, IntegrityError, SourceUnavailable, WeighbridgeError
from weighbridge.store.failures import store_errors
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.reading import PIECE


class Receiving(Protocol):
    """Who receives a blob.

    Attributes:
        error: why the blob did not arrive; None while it is under way, or where it did.
    """

    error: WeighbridgeError | None

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        ...


class GrowingBlob:
    """A blob on its way in; close it at the end. For one reader.

    Args:
        store: the store.
        part: the file in which it is received.
        digest: the blob's.
        size: its bytes, as promised.
        receiving: who receives it on behalf of the reader; without one, what is there is read.

    Attributes:
        size: in bytes.
    """

    def __init__(
        self,
        store: LocalBlobStore,
        part: Path,
        digest: Digest,
        size: int,
        receiving: Receiving | None = None,
    ) -> None:
        self._store, self._part, self._digest, self.size = store, part, digest, size
        self._receiving = receiving
        self._descriptor, self._there, self._whole = -1, 0, False
        self._at, self._given = 0, False

    def close(self) -> None:
        """Close the file; a second call is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def in_file(self) -> None:
        """Return None: what can be sent of the file is not known before it is read."""

    @property
    def _has_ended(self) -> bool:
        return self._receiving is None or self._receiving.has_ended

    @property
    def _failure(self) -> WeighbridgeError | None:
        return None if self._receiving is None else self._receiving.error

    @property
    def is_ready(self) -> bool:
        """Whether the next piece is there, or there will be none: looks at the disk, and does not wait."""
        with suppress(WeighbridgeError):  # The next piece raises it.
            return self._at < self._readable() or self._has_ended
        return True

    def whole(self) -> Iterator[bytes]:
        """Yield all bytes, as `part` does."""
        return self.part(0, self.size)

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`, and nothing, `b""`, where they are not there yet.

        Raises:
            IntegrityError: the bytes are not those that were promised, or were received anew.
            SourceError: they cannot be had.
        """
        while start < stop:
            self._at, has_ended = start, self._has_ended  # In this order: what has ended grows no more.
            piece = self._read(start, min(stop, start + PIECE))
            if not piece and has_ended:
                raise self._failure or SourceUnavailable("The file did not arrive whole.", "Ask for it again.")
            self._given = self._given or bool(piece)
            start += len(piece)
            self._at = start
            yield piece

    def _read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._readable() if stop > self._readable_before else stop)
        if start >= stop:
            return b""
        with store_errors(self._part):
            return os.pread(self._descriptor, stop - start, start)

    @property
    def _readable_before(self) -> int:
        """Bytes that could be read at the last look."""
        return self._there if self._whole else min(self._there, self.size - 1)

    def _readable(self) -> int:
        """Return how many bytes can be read now; the last one only of a blob that is whole and right."""
        if not self._whole and (self._at >= self._readable_before or self._there >= self.size):
            self._look()
        return self._readable_before

    def _look(self) -> None:
        """See how far the file is, and whether it has become the blob."""
        # The blob first: a file that is not there any more may have become it since.
        if self._store.has(self._digest):
            with suppress(BlobMissing):
                self._open(self._store.path(self._digest))
                self._whole = True
                return
        self._open(self._part)

    def _open(self, path: Path) -> None:
        """Open a file anew, as other machines' bytes are seen then; the same one as before where bytes were given."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        status = os.fstat(descriptor)
        if self._descriptor >= 0 and os.fstat(self._descriptor).st_ino != status.st_ino and self._given:
            os.close(descriptor)
            raise IntegrityError(
                "The file was received anew while it was handed on, so that its parts may not belong together.",
                "Ask for it again, from its beginning.",
            )
        self.close()
        self._descriptor, self._there = descriptor, status.st_size
