"""The blob store on local files: content by its sha256, hashed while written, resumable, safe for several processes.

Layout below the root (docs/formats.md): `blobs/sha256/ab/<hex>` read-only content; `partial/<key>` what is still
arriving, with a lock and piece sums beside it; `aliases/<key>` from another identity of the same bytes to their sha256;
`pieces/` the piece sums of large blobs; `corrupt/` what `check` found broken; `leases/` what running work counts on;
`trash/` what a sweep has not deleted yet; `reserve`, room for a sweep when the disk is full. Not here: where bytes come
from (intake.fetching) or what they mean.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from weighbridge.domain.digest import Digest, Hasher
from weighbridge.domain.progress import Heard, unheard
from weighbridge.errors import BlobMissing, IntegrityError, InvalidConfiguration
from weighbridge.store.failures import store_errors
from weighbridge.store.incoming import Incoming
from weighbridge.store.leases import Lease, Leases
from weighbridge.store.piece_sums import PIECE, SumsFile, read_sums
from weighbridge.store.turns import turn
from weighbridge.system import whole_files

_CHUNK = 4 * 1024 * 1024
#: A file that only reserves room, and its bytes: enough for SQLite's index of what is being written, and a lease.
_RESERVE, _RESERVE_SIZE = "reserve", 256 * 1024


@dataclass(frozen=True)
class Damage:
    """A blob whose content no longer matches its name; `actual` is None where the disk cannot read its bytes."""

    digest: Digest
    actual: Digest | None
    moved_to: Path


_TOP, _HEX = ("blobs", "partial", "aliases", "pieces", "corrupt", "leases", "trash"), 64
#: The folders below a root, and the files in them; `tmp…` and `.writing-…` are being written, or were at a kill.
_FOLDERS = re.compile(r"blobs|partial|aliases|pieces|corrupt|leases|trash|(blobs/sha256|aliases|pieces)(/[0-9a-f]{2})?")
_FILES = re.compile(
    r"(blobs/sha256|aliases|pieces)/([0-9a-f]{2})/(\2[0-9a-f]{62}|tmp\w+)|(corrupt|trash)/[0-9a-f]{64}"
    r"|partial/([0-9a-f]{64}|tmp\w+)(\.lock|(\.writing)?\.pieces)?|leases/(gate|(tmp|[0-9a-f]{32}-)\w+\.lease)"
    r"|(aliases/[0-9a-f]{2}|partial)/\.writing-\w+"
)


def _is_ours(path: Path, root: Path) -> bool:
    """Return whether a path below a root belongs to the layout."""
    what = _FOLDERS if path.is_dir() else _FILES
    return not path.is_symlink() and what.fullmatch(path.relative_to(root).as_posix()) is not None


class LocalBlobStore:
    """A blob store in a folder; see the module."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._proven: dict[Digest, tuple[int, ...]] = {}
        self._lease: Lease | None = None
        with store_errors(root):
            for name in ("blobs/sha256", "partial", "aliases", "pieces", "corrupt", "trash"):
                (root / name).mkdir(parents=True, exist_ok=True)
        self.leases = Leases(root)

    def refuse_unwritable(self) -> None:
        """Raise StoreError where nothing can be written: a file is made, and removed."""
        with store_errors(self.root), tempfile.NamedTemporaryFile(dir=self.root / "partial"):
            pass

    @contextmanager
    def leased(self) -> Iterator[LocalBlobStore]:
        """Yield the store for one piece of work: while the context lasts, no sweep deletes a blob that it confirms."""
        with self.leases.lease() as lease:
            lent = copy(self)
            lent._lease = lease
            yield lent
        reserve(self.root)

    def _counting_on(self, digest: Digest) -> AbstractContextManager[None]:
        return self._lease.counting_on(digest) if self._lease is not None else nullcontext()

    def place(self, digest: Digest) -> Path:
        """Return where a blob is, or would be."""
        return self.root / f"blobs/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}"

    def has(self, digest: Digest) -> bool:
        """Return whether the whole blob is in the store; in one from `leased` it then stays."""
        with self._counting_on(digest):
            return self.place(digest).exists() or self._recover(digest)

    def _recover(self, digest: Digest) -> bool:
        """Take a blob back out of the trash, where a sweep put it; return whether it was there."""
        with suppress(OSError):  # Another process was faster, or the store can only be read.
            os.rename(self._trashed(digest), self.place(digest))
            return True
        return False

    def path(self, digest: Digest) -> Path:
        """Return the blob's path. Raises BlobMissing."""
        path = self.place(digest)
        if not path.exists() and not self._recover(digest):
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
        """Receive a blob, resuming an earlier call with the same key.

        One process at a time receives a key; another waits here (`turns`), so call `has` again afterwards.

        Args:
            key: identity of the expected bytes: equal key, equal bytes.
            extra: digests to compute beside sha256.
            size: the promised size in bytes, needed by git-sha1.
        """
        part = self.part(key)
        with store_errors(part), turn(FileLock(part.with_suffix(".lock")), part):
            incoming = Incoming(part, extra, size, self._adopt)
            try:
                yield incoming
            finally:
                incoming.close()

    def part(self, key: str) -> Path:
        """Return the file in which the blob of a key is received, while it is; store.growing reads it meanwhile."""
        return self.root / "partial" / hashlib.sha256(key.encode()).hexdigest()

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
        incoming = Incoming(part, extra, None, self._adopt)
        try:
            for chunk in chunks:
                incoming.write(chunk)
            return incoming.commit(expected)
        finally:
            incoming.discard()

    def _adopt(self, part: Path, sums: SumsFile, digest: Digest) -> Digest:
        target = self.place(digest)
        with store_errors(target), self._counting_on(digest):
            target.parent.mkdir(exist_ok=True)
            sums.adopt(
                self._pieces(digest)
            )  # First: sums without a blob do no harm; a blob without sums never gets any.
            if target.exists() or self._recover(digest):
                part.unlink()
            else:
                os.replace(part, target)
                self.note_proven(digest, target.stat())  # It was hashed on its way to the disk.
        return digest

    def remember(self, alias: str, digest: Digest) -> None:
        """Record that another identity of bytes (a git blob id, an ETag at a URL) means this sha256."""
        path = self._alias(alias)
        with store_errors(path):
            path.parent.mkdir(exist_ok=True)
            whole_files.write(path, str(digest))

    def recall(self, alias: str) -> Digest | None:
        """Return the blob of an alias, when it is still in the store; else None."""
        # A crash of the machine may leave an alias empty: then the bytes are fetched, and the alias is written anew.
        with suppress(FileNotFoundError, InvalidConfiguration, UnicodeDecodeError):
            digest = Digest.parse(self._alias(alias).read_text())
            return digest if self.has(digest) else None
        return None

    def _alias(self, alias: str) -> Path:
        name = hashlib.sha256(alias.encode()).hexdigest()
        return self.root / "aliases" / name[:2] / name

    def digests(self) -> Iterator[Digest]:
        """Yield every blob in the store."""
        return self._named(sorted((self.root / "blobs" / "sha256").glob("??/*")))

    def _named(self, paths: Iterable[Path]) -> Iterator[Digest]:
        return (Digest("sha256", path.name) for path in paths if len(path.name) == _HEX and self._is_file(path))

    def _is_file(self, path: Path) -> bool:
        """Return whether a path is a file of the store: not a folder, a link, or a file that another program left."""
        return path.is_file() and _is_ours(path, self.root)

    def foreign(self) -> Iterator[Path]:
        """Yield paths in the store's folders that do not belong to it, such as the `.nfs…` files that NFS leaves."""
        for folder in _TOP:
            for place, folders, names in os.walk(self.root / folder):
                found = [Path(place) / name for name in (*folders, *names)]
                yield from sorted(path for path in found if not _is_ours(path, self.root))
                folders[:] = [name for name in folders if _is_ours(Path(place) / name, self.root)]

    def _parts(self) -> list[Path]:
        here = (self.root / "partial").iterdir()
        return [
            path
            for path in here
            if path.suffix not in (".lock", ".pieces")
            and not whole_files.is_unfinished(path.name)
            and self._is_file(path)
        ]

    def unfinished(self) -> int:
        """Return the number of downloads that were cut off and can be resumed."""
        return sum(1 for path in self._parts() if path.stat().st_size)

    def unfinished_size(self) -> int:
        """Return the bytes of downloads that are under way, or were cut off."""
        size = 0
        for path in self._parts():
            with suppress(FileNotFoundError):
                size += path.stat().st_size
        return size

    def check(self, digest: Digest, heard: Heard = unheard) -> Damage | None:
        """Hash a blob again; a broken one is moved to `corrupt/`, so that the next ingest fetches it anew."""
        path = self.path(digest)
        hasher = Hasher()
        actual: Digest | None = None
        with store_errors(path), open(path, "rb", buffering=0) as file:
            try:
                while chunk := file.read(_CHUNK):
                    hasher.update(chunk)
                    heard(len(chunk))
                actual = hasher.digests["sha256"]
            except OSError as error:
                if error.errno != errno.EIO:  # A broken disk raises EIO.
                    raise
        if actual == digest:
            return None
        moved_to = self._corrupt(digest)
        os.replace(path, moved_to)
        return Damage(digest, actual, moved_to)

    def prove(self, digest: Digest, heard: Heard = unheard) -> None:
        """Hash a blob before it is given out, unless this process did so since its file last changed.

        In a store from `leased` it then stays, as a link to it may be given out; where this user may only read the
        store, nothing can be noted there.

        Raises:
            BlobMissing: it is not here.
            IntegrityError: it is damaged; then it is set aside as by `check`.
        """
        with self._counting_on(digest) if os.access(self.leases.folder, os.W_OK) else nullcontext():
            identity = _identity(self.path(digest).stat())
        if self._proven.get(digest) == identity:
            heard(identity[1])
            return
        damage = self.check(digest, heard)
        if damage is not None:
            raise IntegrityError(
                f"The blob {digest} was damaged on the disk, so nothing was given out.",
                "Run the same command again: the blob is fetched again. See also `weighbridge fsck`.",
                expected=str(digest),
                actual=str(damage.actual),
            )
        self._proven[digest] = identity

    def is_proven(self, digest: Digest, status: os.stat_result) -> bool:
        """Return whether this process hashed a blob since its file, which has that status, last changed."""
        return self._proven.get(digest) == _identity(status)

    def note_proven(self, digest: Digest, status: os.stat_result) -> None:
        """Note that a blob was hashed, and what the status of its file was before."""
        self._proven[digest] = _identity(status)

    def corrupt(self, digest: Digest) -> Path | None:
        """Return the path of the copy that `check` found broken, or None."""
        path = self._corrupt(digest)
        return path if path.exists() else None

    def corrupt_digests(self) -> Iterator[Digest]:
        """Yield every blob of which `check` set a broken copy aside that is still there."""
        return self._named(sorted((self.root / "corrupt").iterdir()))

    def drop_corrupt(self, digest: Digest) -> None:
        """Remove the broken copy of a blob, once the store has the blob again."""
        self._corrupt(digest).unlink(missing_ok=True)

    def piece_sums(self, digest: Digest, size: int) -> tuple[bytes, ...] | None:
        """Return the piece sums of a blob of that many bytes; None where some are missing."""
        sums = read_sums(self._pieces(digest))
        return sums if sums is not None and len(sums) == size // PIECE else None

    def set_aside(self, digest: Digest) -> None:
        """Move a blob to the trash, without its piece sums: whoever looks for it meanwhile takes it back."""
        path = self.path(digest)
        with store_errors(path):
            os.replace(path, self._trashed(digest))
            self._pieces(digest).unlink(missing_ok=True)

    def trash(self) -> dict[Digest, os.stat_result]:
        """Return what is known of the files in the trash; `st_ctime` is when each was moved there, or later."""
        found = {}
        for digest in self._named(sorted((self.root / "trash").iterdir())):
            with suppress(FileNotFoundError):
                found[digest] = self._trashed(digest).stat()
        return found

    def take_back(self, digest: Digest) -> None:
        """Move a blob from the trash to its place, unless it is there again."""
        if not self.place(digest).exists():
            with store_errors(self._trashed(digest)):
                os.rename(self._trashed(digest), self.place(digest))

    def delete_trashed(self, digest: Digest) -> None:
        """Delete a blob's bytes in the trash."""
        path = self._trashed(digest)
        with store_errors(path):
            path.unlink(missing_ok=True)

    def drop_partial(self, older_than_s: float, *, dry_run: bool = False) -> int:
        """Delete unfinished downloads that did not grow for so long, and return their bytes.

        Another user's whose lock this one may not have is left to that user.
        """
        size, oldest = 0, time.time() - older_than_s
        for folder in () if dry_run else (self.root / "partial", *(self.root / "aliases").glob("??")):
            whole_files.remove_unfinished(folder)
        for part in self._parts():
            with suppress(Timeout, FileNotFoundError, PermissionError):
                if part.stat().st_mtime >= oldest:
                    continue
                with FileLock(part.with_suffix(".lock"), timeout=0):
                    size += part.stat().st_size
                    if not dry_run:
                        part.with_suffix(".pieces").unlink(missing_ok=True)
                        part.unlink()
        return size

    def _corrupt(self, digest: Digest) -> Path:
        return self.root / "corrupt" / digest.hex

    def _trashed(self, digest: Digest) -> Path:
        return self.root / "trash" / digest.hex

    def _pieces(self, digest: Digest) -> Path:
        return self.root / "pieces" / digest.hex[:2] / digest.hex


def reserve(root: Path) -> None:
    """Reserve some room below a store's root for the day when its disk is full; do nothing when it is full already."""
    path = root / _RESERVE
    with suppress(OSError):
        if not path.exists():
            whole_files.write(path, bytes(_RESERVE_SIZE))


def use_reserve(root: Path) -> None:
    """Release the room that `reserve` took: a catalog on a full disk cannot even be read without some."""
    with suppress(OSError):
        (root / _RESERVE).unlink(missing_ok=True)
        whole_files.remove_unfinished(root)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return values that change with a file's bytes: inode, size and times.

    A program may set the time of the last write (mtime), but not that of the last change of any kind (ctime).
    """
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
