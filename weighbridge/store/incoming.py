"""A blob on its way in: appended to, hashed while it is written, resumable, then committed under its sha256.

Others may read the file while it grows (store.growing), so it is only ever appended to: where bytes are dropped,
another file takes its place.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from weighbridge.domain.digest import Digest, Hasher
from weighbridge.errors import IntegrityError, StoreError
from weighbridge.store.early_flush import EarlyFlush
from weighbridge.store.failures import store_errors
from weighbridge.store.piece_sums import PIECE, WIDTH, WORTHWHILE, SumsFile
from weighbridge.store.write_behind import BATCH, WriteBehind
from weighbridge.system import whole_files

#: The most pieces that a kill leaves without a sum: the one that was begun, and those of the batch being written.
_UNSUMMED = 1 + BATCH // PIECE
#: Seconds after which bytes are in the file even where they are less than a batch: others wait for them.
_SOON_S = 0.25

#: Moves a whole blob to its final name: takes the file, its piece sums and its sha256, and returns the digest.
Adopt = Callable[[Path, SumsFile, Digest], Digest]


class Incoming:
    """A blob on its way in: `write`, then `commit`. Written bytes survive a crash and are hashed again.

    Bytes of an earlier attempt that no longer have their piece sums are cut off, with all that follows them.
    """

    def __init__(self, part: Path, algorithms: tuple[str, ...], size: int | None, adopt: Adopt) -> None:
        self._part, self._algorithms, self._size, self._adopt = part, algorithms, size, adopt
        self._sums = SumsFile(part.with_suffix(".pieces"))
        with store_errors(part):
            self._file = open(part, "r+b" if part.exists() else "w+b", buffering=0)  # noqa: SIM115 (closed by `close`)
            self._flush = EarlyFlush(self._file.fileno())
            self._behind, self._settled_at = WriteBehind(self._append, self._hash), time.monotonic()
            self._hash_what_is_here()

    def _hash_what_is_here(self) -> None:
        noted = self._sums.read()
        if noted is not None and os.fstat(self._file.fileno()).st_size > (len(noted) + _UNSUMMED) * PIECE:
            self._cut(len(noted) * PIECE)  # More lack a sum than a kill can leave: the disk lost some.
        self._hasher = Hasher(self._algorithms, self._size)
        self._hashed = 0
        self._file.seek(0)
        sums: list[bytes] = []
        while chunk := self._file.read(PIECE - self._hashed % PIECE):
            found = self._add(chunk)
            if found is None:
                continue
            if noted is not None and len(sums) < len(noted) and noted[len(sums)] != found:
                self._cut(len(sums) * PIECE)
                self._hash_what_is_here()
                return
            sums.append(found)
        self._sums.settle(sums)

    def _add(self, chunk: bytes | memoryview) -> bytes | None:
        """Hash bytes that do not go beyond the current piece; return its sum when they complete it."""
        self._hasher.update(chunk)
        self._hashed += len(chunk)
        return None if self._hashed % PIECE else self._hasher.sha256()[:WIDTH]

    def expect(self, size: int) -> None:
        """Set the whole size in bytes where it was not promised: git-sha1 includes it."""
        if size != self._size:
            self._behind.settle()
            self._size = size
            if "git-sha1" in self._algorithms:
                self._hash_what_is_here()

    @property
    def offset(self) -> int:
        """The number of bytes received. Raises StoreFull as `write` does."""
        self._behind.settle()
        return self._hashed

    def write(self, chunk: bytes) -> None:
        """Append and hash a chunk, at the latest before `offset` or `commit` returns.

        Raises:
            StoreFull: no space left, for this chunk or an earlier one; what was received stays for a later resume.
        """
        self._behind.add(chunk)
        if time.monotonic() - self._settled_at > _SOON_S:
            self._behind.settle()
            self._settled_at = time.monotonic()

    def _append(self, batch: memoryview) -> None:
        with store_errors(self._part):
            while batch:
                batch = batch[self._file.write(batch) :]
            self._flush.reached(self._file.tell())

    def _hash(self, batch: memoryview) -> None:
        while batch:
            piece = batch[: PIECE - self._hashed % PIECE]
            found = self._add(piece)
            if found is not None:
                with store_errors(self._part):
                    self._sums.append(found)
            batch = batch[len(piece) :]

    def sum_after(self, chunk: bytes) -> bytes:
        """Return the piece sum as if a chunk were appended, without appending it."""
        self._behind.settle()
        return self._hasher.sha256(chunk)[:WIDTH]

    def restart(self) -> None:
        """Drop all bytes received."""
        self._behind.drop()
        with store_errors(self._part):
            self._cut(0)
        self._sums.remove()
        self._hasher = Hasher(self._algorithms, self._size)
        self._hashed = 0

    def _cut(self, length: int) -> None:
        """Drop the bytes after so many, in another file: who reads this one never sees other bytes at their place."""
        self._file.seek(0)
        if os.fstat(self._file.fileno()).st_size <= length:
            return
        with whole_files.replacing(self._part) as file:
            if length:
                shutil.copyfileobj(self._file, file, PIECE)
                file.truncate(length)
        with suppress(OSError):  # Those bytes are gone.
            self._flush.finish()
        self._file.close()
        self._file = open(self._part, "r+b", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._flush = EarlyFlush(self._file.fileno())

    def commit(self, expected: Digest | None = None) -> Digest:
        """Make the blob visible under its sha256, atomically and durably.

        1. Gathered bytes are written.
        2. The digest of `expected`'s algorithm, computed while writing, is compared with it.
        3. The bytes are forced to disk.
        4. The file becomes read-only and is renamed to its name, unless the same blob is there already.

        Raises:
            IntegrityError: another digest than expected; nothing becomes visible and the bytes are dropped.
        """
        self._behind.settle()
        digests = self._hasher.digests
        if expected is not None and digests.get(expected.algorithm) != expected:
            actual = digests.get(expected.algorithm, digests["sha256"])
            self.restart()
            raise IntegrityError(
                f"The bytes received are {actual}, but {expected} was promised.",
                "The source or something on the way changed them. Nothing was kept.",
                expected=str(expected),
                actual=str(actual),
            )
        with store_errors(self._part):
            self._flush.finish()
            os.fsync(self._file.fileno())
        os.fchmod(self._file.fileno(), 0o444)
        self._file.close()
        if self._hashed < WORTHWHILE:
            self._sums.remove()
        return self._adopt(self._part, self._sums, digests["sha256"])

    def close(self) -> None:
        """Close the files; received bytes stay for a later resume."""
        with suppress(StoreError):  # The writer has already seen this error, or stops because of another one.
            self._behind.close()
        with suppress(OSError):  # Bytes that did not reach the disk fail their piece sums at the next resume.
            self._flush.finish()
        self._file.close()
        self._sums.close()

    def discard(self) -> None:
        """Close the files and remove received bytes that were not committed."""
        self.close()
        self._part.unlink(missing_ok=True)
        self._sums.remove()
