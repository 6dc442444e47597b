"""Writes a version's files to a folder: whole or not at all, verified while copied, safe to interrupt at any point.

Not here: what the folder is for (registries).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import IntegrityError, RegistryError, RegistryUnavailable
from weighbridge.store.interface import BlobStore
from weighbridge.system.claimed_folders import claimed

_log = logging.getLogger(__name__)
#: How a file is placed: with bytes of its own; the same, read-only and as old as the blob; as the blob under a second
#: name, where this process could not write through it; or as a symbolic link to the blob, for a moment.
Link = Literal["copy", "readonly", "hardlink", "symlink"]
_CHUNK = 4 * 1024 * 1024
#: Seconds to wait for another process's work in a folder; it may be copying gigabytes.
LOCK_PATIENCE_S = 1800.0
#: Seconds for which a withdrawal waits for a publication; the publisher checks again before anything becomes visible.
WITHDRAWAL_PATIENCE_S = 20.0
_LOCK_PAUSE_S = 0.05
#: ioctl_ficlone(2).
_FICLONE = 0x40049409
#: Errors of impossible hard links: another file system, one without links, too many links, or protected_hardlinks.
_NO_HARDLINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES)


def require_passed(version: ModelVersion) -> None:
    """Raise RegistryError for a version that the gate did not pass.

    Raises:
        RegistryError: it is not PASSED.
    """
    if version.status != "PASSED":
        raise RegistryError(
            f"{version.name}@{version.version} is {version.status}; only a version that PASSED is published.",
            "See weighbridge show for the reasons.",
            status=version.status,
        )


def content(entry: FileEntry) -> Digest:
    """Return the sha256 of a file of a computed manifest.

    Raises:
        RegistryError: the manifest is not computed.
    """
    if entry.digest is None or entry.digest.algorithm != "sha256":
        raise RegistryError(f"The content of {entry.path} is not known.", "Ingest the model again.", path=entry.path)
    return entry.digest


def place_file(blobs: BlobStore, entry: FileEntry, target: Path, link: Link, heard: Heard = unheard) -> None:
    """Write one file to the unused path `target`; a hard link that is impossible or unsafe becomes a read-only copy.

    A file system that can share the blocks of two files (Btrfs, XFS) makes a copy without writing a byte. Root can
    write to files despite their permissions, so root places no hard links. `heard` is called with all the file's bytes
    while they are read.

    Raises:
        BlobMissing: its blob is not in the store.
        IntegrityError: the blob's bytes, hashed while they are copied, do not match its name.
    """
    digest = content(entry)
    blob = blobs.path(digest)
    if link == "symlink":
        blobs.prove(digest, heard)
        target.symlink_to(blob.absolute())
    elif link == "hardlink" and not _writable(blob) and _linked(blob, target):
        try:
            blobs.prove(digest, heard)
        except BaseException:
            target.unlink()
            raise
    else:
        _copy(blobs, digest, target, heard)
        if link != "copy":
            _look_like(blob, target)


def _writable(blob: Path) -> bool:
    """Return whether this process could write to a blob, which is read-only."""
    return os.access(blob, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _look_like(blob: Path, target: Path) -> None:
    """Make a copy read-only and as old as its blob, so that a later write is visible in its time stamp."""
    changed_ns = blob.stat().st_mtime_ns
    target.chmod(0o444)
    os.utime(target, ns=(changed_ns, changed_ns))


def _linked(blob: Path, target: Path) -> bool:
    """Create a hard link and return whether that succeeded; False where the file system has none."""
    try:
        os.link(blob, target)
    except OSError as error:
        if error.errno not in _NO_HARDLINK:
            raise
        return False
    return True


def place_all(blobs: BlobStore, manifest: Manifest, folder: Path, link: Link, heard: Heard = unheard) -> None:
    """Write every file of a manifest below an empty folder; `heard` as in `place_file`."""
    for entry in manifest.files:
        target = folder / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        place_file(blobs, entry, target, link, heard)


def holds(folder: Path, entry: FileEntry, blobs: BlobStore) -> bool:
    """Return whether a folder has a file of a manifest, byte for byte; a hard link to the blob is not read."""
    path = folder / entry.path
    if not path.is_file():
        return False
    digest = content(entry)
    if blobs.has(digest) and path.samefile(blobs.path(digest)):
        return True
    return path.stat().st_size == entry.size and _sha256(path) == digest


def seems_whole(folder: Path, entry: FileEntry, blobs: BlobStore) -> bool:
    """Return whether a folder seems to have a file of a manifest; files on another disk than the blobs are not read.

    On the blobs' own disk a file is a hard link to the blob, or a copy of the same age; one that is neither, such as
    the damaged copy of a blob that was repaired since, is read. A copy on another disk is compared by its size.
    """
    path, digest = folder / entry.path, content(entry)
    if path.is_file() and blobs.has(digest):
        here, blob = path.stat(), blobs.path(digest).stat()
        if here.st_dev != blob.st_dev or here.st_mtime_ns == blob.st_mtime_ns:
            return here.st_size == entry.size
    return holds(folder, entry, blobs)


def files_below(folder: Path) -> set[str]:
    """Return the POSIX paths of everything below a folder that is not a folder, including links to folders."""
    found: set[str] = set()
    for root, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found.update((Path(root) / name).relative_to(folder).as_posix() for name in (*names, *links))
    return found


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that replaces it, in one step, when the block ends without an error.

    The next process removes the folder of a killed one: a process that fills one holds a lock on it, which ends with
    the process. The former content of `target` is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with claimed(target.parent, f".{target.name[:100]}.partial-") as folder:
        yield folder
        folder.chmod(0o755)
        _replace_folder(folder, target)


@contextmanager
def locked(folder: Path, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
    """Let one process at a time change a folder; the lock is on the folder itself and ends with the process.

    Raises:
        RegistryUnavailable: another process held it for `patience_s` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder, patience_s)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, patience_s: float) -> None:
    end, told = time.monotonic() + patience_s, False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise RegistryUnavailable(
                    f"Another process has been writing to {folder} for {patience_s:.0f} seconds.",
                    "Wait until it ends, or end it, then run the same command again; nothing is lost.",
                    path=str(folder),
                ) from None
        if not told:
            _log.warning("Waiting for another process that writes to %s.", folder)
            told = True
        time.sleep(_LOCK_PAUSE_S)


@contextmanager
def placing_errors(where: Path) -> Iterator[None]:
    """Convert errors of the file system to RegistryError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise RegistryError(
            f"The model cannot be written to {where}: {error.strerror or error}.",
            "Free some space or choose another folder." if full else "Check that this user may write there.",
            path=str(where),
        ) from error


def _replace_folder(folder: Path, target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        target.unlink()
    elif target.exists() and any(target.iterdir()):
        # This takes two steps, as no portable call swaps folders: in between the target is missing, never incomplete.
        old = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.partial-", dir=target.parent))
        os.rename(target, old)
        os.rename(folder, target)
        shutil.rmtree(old, ignore_errors=True)
        return
    os.rename(folder, target)


def _copy(blobs: BlobStore, digest: Digest, target: Path, heard: Heard) -> None:
    hash_ = hashlib.sha256()
    with blobs.open(digest) as source, open(target, "x+b", buffering=0) as file:
        cloned = _cloned(source, file)
        while chunk := (file if cloned else source).read(_CHUNK):
            hash_.update(chunk)
            rest = memoryview(b"" if cloned else chunk)
            while rest:
                rest = rest[file.write(rest) :]
            heard(len(chunk))
    if hash_.hexdigest() != digest.hex:
        target.unlink()
        blobs.prove(digest)  # This sets a damaged blob aside, so that the next ingest fetches it again.
        raise IntegrityError(
            f"The blob {digest} in the store is damaged, so nothing was published.",
            "Run weighbridge fsck, then ingest the model again.",
            expected=str(digest),
            actual=f"sha256:{hash_.hexdigest()}",
        )


def _cloned(source: IO[bytes], file: IO[bytes]) -> bool:
    """Make an empty file share the blocks of another one, and return whether the file system can do that."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(file.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True


def _sha256(path: Path) -> Digest:
    with open(path, "rb") as file:
        return Digest("sha256", hashlib.file_digest(file, "sha256").hexdigest())
