"""A blob read while it is still being received, by this process or another one, on this machine or another one.

Received bytes are only ever appended to a file (store.incoming), so what was read of it is part of the blob if that
file becomes the blob. Its last byte is held back until it has: who reads all of it has the right bytes, or an error.
Not here: receiving it (store.local), and whole blobs (store.reading).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Protocol

from weighbridge.domain.digest import Digest
from weighbridge.errors import BlobMissing, IntegrityError, SourceUnavailable, WeighbridgeError
from weighbridge.store.failures import store_errors
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.reading import PIECE, SPAN, load
from weighbridge.system import without_waiting


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
        file: the open file, for the kernel to send; another one after each look at the disk.
        size: in bytes.
    """

    file: FileIO
    _is_open = False

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
        self._there, self._whole = 0, False
        self._at, self._given = 0, False

    def close(self) -> None:
        """Close the file; a second call is harmless."""
        if self._is_open:
            self.file.close()
            self._is_open = False

    def in_file(self) -> GrowingBlob:
        """Return the blob: its bytes are given out as they are in its file."""
        return self

    @property
    def is_proven(self) -> bool:
        """Whether its bytes need not be seen to be proven: they are hashed as they come."""
        return True

    #: How `store.reading` says that a blob is hashed beside reading: this one is not.
    is_large = is_being_proven = False

    def refuse_changed(self) -> None:
        """Do nothing: a span that is there is what it was."""

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
            WeighbridgeError: as `spans`.
        """
        for begin, length in self.spans(start, stop):
            if not length:
                yield b""
            for at in range(begin, begin + length, PIECE):
                with store_errors(self._part):
                    yield os.pread(self.file.fileno(), min(PIECE, begin + length - at), at)

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield beginning and length of each span from `start` to before `stop` once it is in the file.

        The length is 0 where nothing more is there yet.

        Raises:
            IntegrityError: the bytes are not those that were promised, or were received anew.
            SourceError: they cannot be had.
        """
        while start < stop:
            self._at, has_ended = start, self._has_ended  # In this order: what has ended grows no more.
            length = max(0, min(stop, self._readable(), start + SPAN) - start)
            if not length and has_ended:
                raise self._failure or SourceUnavailable("The file did not arrive whole.", "Ask for it again.")
            self._given = self._given or length > 0
            yield start, length
            start += length
            self._at = start

    def is_in_memory(self, start: int, length: int) -> bool:
        """Return whether a span can be sent without waiting for the disk; False where the system cannot tell."""
        return without_waiting.is_there(self.file, start, length)

    def load(self, start: int, length: int) -> None:
        """Have a span read from the disk, and wait until it is in memory."""
        with store_errors(self._part):
            load(self.file, start, length)

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
            file = FileIO(path)
        except FileNotFoundError:
            return
        status = os.fstat(file.fileno())
        if self._is_open and os.fstat(self.file.fileno()).st_ino != status.st_ino and self._given:
            file.close()
            raise IntegrityError(
                "The file was received anew while it was handed on, so that its parts may not belong together.",
                "Ask for it again, from its beginning.",
            )
        self.close()
        self.file, self._is_open, self._there = file, True, status.st_size
