"""The blob store on local files: content by its sha256, hashed while written, resumable, safe for several processes.

Layout below the root (docs/formats.md): `blobs/sha256/ab/<hex>` read-only content; `partial/<key>` what is still
arriving, with a lock and piece sums beside it; `aliases/<key>` from another identity of the same bytes to their sha256;
`pieces/` the piece sums of large blobs; `corrupt/` what `check` found broken. Not here: where bytes come from
(fetching) or what they mean.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from filelock import FileLock

from weighbridge.domain.digest import Digest, Hasher
from weighbridge.errors import BlobMissing, IntegrityError, StoreError, StoreFull
from weighbridge.store.early_flush import EarlyFlush
from weighbridge.store.piece_sums import PIECE, WIDTH, WORTHWHILE, SumsFile, read_sums
from weighbridge.store.write_behind import BATCH, WriteBehind

_CHUNK = 4 * 1024 * 1024
#: Pieces that a kill leaves without a sum at most: the one that was begun, and those of the batch being written.
_UNSUMMED = 1 + BATCH // PIECE


class BlobStore(Protocol):
    """Content by sha256. One class for local files; another for S3 may come."""

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here, whole."""
        ...

    def path(self, digest: Digest) -> Path:
        """Return where the blob can be read on this machine; nobody writes to it. Raises BlobMissing."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """Open the blob for reading. Raises BlobMissing."""
        ...


@dataclass(frozen=True)
class Damage:
    """A blob whose content no longer has its name; `actual` is None where the disk no longer gives its bytes."""

    digest: Digest
    actual: Digest | None
    moved_to: Path


class Incoming:
    """A blob on its way in: append, then `commit`. What was written survives a crash and is hashed again.

    Bytes of an earlier attempt that no longer have their piece sums are cut off, with all that follows them.
    """

    def __init__(self, store: LocalBlobStore, part: Path, algorithms: tuple[str, ...], size: int | None) -> None:
        self._store, self._part, self._algorithms, self._size = store, part, algorithms, size
        self._sums = SumsFile(part.with_suffix(".pieces"))
        with _store_errors(part):
            self._file = open(part, "r+b" if part.exists() else "w+b", buffering=0)  # noqa: SIM115 (closed by `close`)
            self._flush = EarlyFlush(self._file.fileno())
            self._behind = WriteBehind(self._append, self._hash)
            self._hash_what_is_here()

    def _hash_what_is_here(self) -> None:
        noted = self._sums.read()
        if noted is not None and os.fstat(self._file.fileno()).st_size > (len(noted) + _UNSUMMED) * PIECE:
            self._file.truncate(len(noted) * PIECE)  # Not the work of a kill, but of a disk that lost something.
        self._hasher = Hasher(self._algorithms, self._size)
        self._hashed = 0
        self._file.seek(0)
        sums: list[bytes] = []
        while chunk := self._file.read(PIECE - self._hashed % PIECE):
            found = self._add(chunk)
            if found is None:
                continue
            if noted is not None and len(sums) < len(noted) and noted[len(sums)] != found:
                self._file.truncate(len(sums) * PIECE)
                self._hash_what_is_here()
                return
            sums.append(found)
        self._sums.settle(sums)

    def _add(self, chunk: bytes | memoryview) -> bytes | None:
        """Hash bytes that do not go beyond the present piece; return its sum when they end it."""
        self._hasher.update(chunk)
        self._hashed += len(chunk)
        return None if self._hashed % PIECE else self._hasher.sha256()[:WIDTH]

    def expect(self, size: int) -> None:
        """Note the whole size in bytes where it was not promised: git-sha1 is taken over it, too."""
        if size != self._size:
            self._behind.settle()
            self._size = size
            if "git-sha1" in self._algorithms:
                self._hash_what_is_here()

    @property
    def offset(self) -> int:
        """Bytes that are here. Raises StoreFull as `write` does."""
        self._behind.settle()
        return self._hashed

    def write(self, chunk: bytes) -> None:
        """Append and hash, at the latest when somebody looks.

        Raises:
            StoreFull: no space left, for this chunk or for one before it; what is here stays for a later resume.
        """
        self._behind.add(chunk)

    def _append(self, batch: memoryview) -> None:
        with _store_errors(self._part):
            while batch:
                batch = batch[self._file.write(batch) :]
            self._flush.reached(self._file.tell())

    def _hash(self, batch: memoryview) -> None:
        while batch:
            piece = batch[: PIECE - self._hashed % PIECE]
            found = self._add(piece)
            if found is not None:
                with _store_errors(self._part):
                    self._sums.append(found)
            batch = batch[len(piece) :]

    def sum_after(self, chunk: bytes) -> bytes:
        """Return the piece sum that there would be after a chunk, without taking it."""
        self._behind.settle()
        return self._hasher.sha256(chunk)[:WIDTH]

    def restart(self) -> None:
        """Forget what arrived."""
        self._behind.drop()
        self._file.seek(0)
        self._file.truncate()
        self._sums.remove()
        self._hasher = Hasher(self._algorithms, self._size)
        self._hashed = 0

    def commit(self, expected: Digest | None = None) -> Digest:
        """Make the blob visible under its sha256, atomically and durably.

        1. What was not written yet is.
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
        with _store_errors(self._part):
            self._flush.finish()
            os.fsync(self._file.fileno())
        os.fchmod(self._file.fileno(), 0o444)
        self._file.close()
        if self._hashed < WORTHWHILE:
            self._sums.remove()
        return self._store._adopt(self._part, self._sums, digests["sha256"])

    def close(self) -> None:
        """Close the files; what arrived stays for a later resume."""
        with suppress(StoreError):  # Whoever writes has heard of it, or ends for another reason.
            self._behind.close()
        with suppress(OSError):  # What did not reach the disk has other piece sums when it is resumed.
            self._flush.finish()
        self._file.close()
        self._sums.close()

    def discard(self) -> None:
        """Close the files and remove what arrived and was not committed."""
        self.close()
        self._part.unlink(missing_ok=True)
        self._sums.remove()


class LocalBlobStore:
    """A blob store in a folder; see the module."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with _store_errors(root):
            for name in ("blobs/sha256", "partial", "aliases", "pieces", "corrupt"):
                (root / name).mkdir(parents=True, exist_ok=True)

    def _name(self, digest: Digest) -> Path:
        return self.root / "blobs" / digest.algorithm / digest.hex[:2] / digest.hex

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here, whole."""
        return self._name(digest).exists()

    def path(self, digest: Digest) -> Path:
        """Return the blob's path. Raises BlobMissing."""
        path = self._name(digest)
        if not path.exists():
            raise BlobMissing(
                f"The blob {digest} is not in the store at {self.root}.",
                "Run the same ingest again: it fetches what is missing.",
                digest=str(digest),
            )
        return path

    def open(self, digest: Digest) -> BinaryIO:
        """Open the blob for reading. Raises BlobMissing."""
        return open(self.path(digest), "rb")

    def size(self, digest: Digest) -> int:
        """Return the blob's size in bytes. Raises BlobMissing."""
        return self.path(digest).stat().st_size

    @contextmanager
    def receive(self, key: str, *, extra: tuple[str, ...] = (), size: int | None = None) -> Iterator[Incoming]:
        """Receive a blob, resuming what an earlier call with the same key left.

        One process at a time receives a key; another waits here, so ask `has` again afterwards.

        Args:
            key: identity of the expected bytes: equal key, equal bytes.
            extra: digests to compute beside sha256.
            size: the promised size in bytes, needed by git-sha1.
        """
        name = hashlib.sha256(key.encode()).hexdigest()
        part = self.root / "partial" / name
        with _store_errors(part), FileLock(part.with_suffix(".lock")):
            incoming = Incoming(self, part, extra, size)
            try:
                yield incoming
            finally:
                incoming.close()

    def put(self, chunks: Iterable[bytes], expected: Digest | None = None) -> Digest:
        """Store a stream and return its sha256.

        Raises:
            IntegrityError: `expected` is another digest.
            StoreFull: no space left.
        """
        descriptor, name = tempfile.mkstemp(dir=self.root / "partial")
        os.close(descriptor)
        part = Path(name)
        extra = (expected.algorithm,) if expected else ()
        incoming = Incoming(self, part, extra, None)
        try:
            for chunk in chunks:
                incoming.write(chunk)
            return incoming.commit(expected)
        finally:
            incoming.discard()

    def _adopt(self, part: Path, sums: SumsFile, digest: Digest) -> Digest:
        target = self._name(digest)
        with _store_errors(target):
            target.parent.mkdir(exist_ok=True)
            sums.adopt(self._pieces(digest))  # First: sums without a blob harm nobody, and no later ingest adds them.
            if target.exists():
                part.unlink()
            else:
                os.replace(part, target)
        return digest

    def remember(self, alias: str, digest: Digest) -> None:
        """Note that another identity of bytes (a git blob id, an ETag at a URL) stands for this sha256."""
        path = self._alias(alias)
        with _store_errors(path):
            path.parent.mkdir(exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(descriptor, "w") as file:
                file.write(str(digest))
            os.replace(name, path)

    def recall(self, alias: str) -> Digest | None:
        """Return the blob that an alias stands for, when it is still here."""
        with suppress(FileNotFoundError):
            digest = Digest.parse(self._alias(alias).read_text())
            return digest if self.has(digest) else None
        return None

    def _alias(self, alias: str) -> Path:
        name = hashlib.sha256(alias.encode()).hexdigest()
        return self.root / "aliases" / name[:2] / name

    def digests(self) -> Iterator[Digest]:
        """Yield every blob in the store."""
        for path in sorted((self.root / "blobs" / "sha256").glob("??/*")):
            yield Digest("sha256", path.name)

    def unfinished(self) -> int:
        """Return how many blobs were cut off while arriving and wait to be resumed."""
        parts = (path for path in (self.root / "partial").iterdir() if path.suffix not in (".lock", ".pieces"))
        return sum(1 for path in parts if path.stat().st_size)

    def check(self, digest: Digest, progress: Callable[[int], None] = lambda _: None) -> Damage | None:
        """Hash a blob again; a broken one is moved to `corrupt/`, so that the next ingest fetches it anew."""
        path = self.path(digest)
        hasher = Hasher()
        actual: Digest | None = None
        with _store_errors(path), open(path, "rb", buffering=0) as file:
            try:
                while chunk := file.read(_CHUNK):
                    hasher.update(chunk)
                    progress(len(chunk))
                actual = hasher.digests["sha256"]
            except OSError as error:
                if error.errno != errno.EIO:  # What a broken disk gives in place of bytes.
                    raise
        if actual == digest:
            return None
        moved_to = self._corrupt(digest)
        os.replace(path, moved_to)
        return Damage(digest, actual, moved_to)

    def corrupt(self, digest: Digest) -> Path | None:
        """Return where a blob lies that `check` found broken, or None."""
        path = self._corrupt(digest)
        return path if path.exists() else None

    def corrupt_digests(self) -> Iterator[Digest]:
        """Yield every blob that `check` found broken and whose broken copy is still kept."""
        for path in sorted((self.root / "corrupt").iterdir()):
            yield Digest("sha256", path.name)

    def drop_corrupt(self, digest: Digest) -> None:
        """Remove what `check` found broken, once the blob is here again."""
        self._corrupt(digest).unlink(missing_ok=True)

    def piece_sums(self, digest: Digest, size: int) -> tuple[bytes, ...] | None:
        """Return the piece sums of a blob of that many bytes; None where not all of them were kept."""
        sums = read_sums(self._pieces(digest))
        return sums if sums is not None and len(sums) == size // PIECE else None

    def _corrupt(self, digest: Digest) -> Path:
        return self.root / "corrupt" / digest.hex

    def _pieces(self, digest: Digest) -> Path:
        return self.root / "pieces" / digest.hex[:2] / digest.hex


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(
                f"No space is left for the blob store at {path.parent}.",
                "Free some space, or set WEIGHBRIDGE_HOME to a larger disk; the same command then resumes.",
                path=str(path),
            ) from error
        raise StoreError(
            f"The blob store cannot use {path}: {error.strerror}.",
            "Check that the folder exists and that this user may write to it.",
            path=str(path),
        ) from error
