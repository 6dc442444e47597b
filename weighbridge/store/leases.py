"""Leases: which blobs running work relies on, so that no collection deletes them meanwhile.

The store's `leases` folder holds `gate`, a lock, and a file for each piece of work that relies on blobs, locked while
the work lasts, with the sha256 of every blob that it found in the store or is going to add. Work holds the gate shared
while it notes a blob and looks for it; a collection holds the gate alone, reads every lease, and then what else is
needed. So a blob is either noted before the leases are read, or looked for after it is set aside. A killed process's
locks end with it.

A lease holds no secret, and may be read by whoever may read the store. One that cannot be read all the same, as another
user keeps it, counts as that of running work, which may rely on any blob (store.sweeping), until it was not used for
`LIFETIME_S`.

Another machine may not see these locks. On a file system that machines share, a note is on the server before the blob
is looked for, and the lease of another kernel counts, locked or not, until it was not used for `LIFETIME_S`
(docs/adr/0015).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from weighbridge.domain.digest import Digest
from weighbridge.store.failures import store_errors
from weighbridge.system.file_systems import is_shared

_SUFFIX = ".lease"
#: Seconds for which a lease counts after its last use, where it cannot be seen whether its work goes on.
LIFETIME_S = 7 * 86_400.0
#: Seconds after which a lease that is used again says so.
_RENEWED_S = 3600.0
_NAMED_BY_KERNEL = re.compile(r"[0-9a-f]{32}-")


@dataclass(frozen=True)
class Reliance:
    """What running work relies on.

    Attributes:
        blobs: every blob of the leases that could be read.
        unread: the leases that could not be read: their work may rely on any blob.
    """

    blobs: frozenset[Digest]
    unread: tuple[Path, ...]


class Lease:
    """The blobs that one piece of work relies on; safe for threads. `Leases.lease` makes one.

    Its file is made with the first blob, so that work without blobs leaves no trace.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._noted: set[Digest] = set()
        self._writing = Lock()
        self._descriptor, self._path = -1, Path()
        self._used_at = 0.0
        self._has_ended = False

    @contextmanager
    def counting_on(self, digest: Digest) -> Iterator[None]:
        """Note a blob, and block every collection until the caller has looked for the blob or stored it."""
        if self._has_ended or (digest in self._noted and time.monotonic() - self._used_at < _RENEWED_S):
            yield  # No collection deletes it any more; or the work was interrupted.
            return
        with self._leases.noting():
            with self._writing, store_errors(self._leases.folder):
                if not self._has_ended:  # It may have ended while a collection let nobody note anything.
                    self._note(digest)
            yield

    def _note(self, digest: Digest) -> None:
        if self._descriptor < 0:
            self._descriptor, self._path = self._leases.make()
        os.write(self._descriptor, f"{digest}\n".encode())
        if self._leases.is_shared:
            os.fsync(self._descriptor)
        self._noted.add(digest)
        self._used_at = time.monotonic()

    def end(self) -> None:
        """Rely on nothing any more."""
        with self._writing:
            self._has_ended = True
            if self._descriptor >= 0:
                self._path.unlink(missing_ok=True)
                os.close(self._descriptor)
                self._descriptor = -1


class Leases:
    """The leases of a store.

    Attributes:
        folder: where they are.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "leases"
        self._gate = self.folder / "gate"
        with store_errors(root):
            self.folder.mkdir(exist_ok=True)
            if not self._gate.exists():
                self._gate.touch()

    @cached_property
    def is_shared(self) -> bool:
        """Whether other machines may use the store: then locks, and what was listed, may not be seen by all."""
        return is_shared(self.folder)

    @property
    def now(self) -> float:
        """The time by the clock that stamps the store's files, which may be another machine's."""
        with store_errors(self._gate):
            os.utime(self._gate)
            return self._gate.stat().st_mtime

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Yield a lease for one piece of work; it ends with the context, or with the process."""
        lease = Lease(self)
        try:
            yield lease
        finally:
            lease.end()

    def make(self) -> tuple[int, Path]:
        """Make a lease's file, locked, and return its descriptor and path; within `noting`."""
        path = self.folder / f"{_kernel()}-{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor, path

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Let no collection begin while the context lasts."""
        with open(self._gate, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    @contextmanager
    def collecting(self) -> Iterator[Reliance]:
        """Yield what running work relies on; no work of this machine adds anything until the context ends."""
        with store_errors(self.folder), open(self._gate, "r+b") as file:  # NFS locks alone only what may be written.
            fcntl.flock(file, fcntl.LOCK_EX)
            blobs: set[Digest] = set()
            unread = []
            for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
                try:
                    blobs |= self._read(path)
                except PermissionError:
                    unread.append(path)
            yield Reliance(frozenset(blobs), tuple(unread))

    def _read(self, path: Path) -> set[Digest]:
        """Return the blobs of a lease; nothing for one whose work has ended, which is removed.

        Raises:
            PermissionError: it cannot be read, and its work may go on.
        """
        with suppress(FileNotFoundError, IsADirectoryError):
            try:
                with _opened(path) as file:
                    if not self._is_over(path, file):
                        # Who writes a line has not looked for the blob yet.
                        lines = file.read().decode().rpartition("\n")[0]
                        return {Digest.parse(line) for line in lines.splitlines()}
            except PermissionError:
                if not (self._is_of_earlier_kernel(path) or self._is_unused(path)):
                    raise
            with suppress(PermissionError):  # Its owner's next collection removes it.
                path.unlink()
        return set()

    def _is_over(self, path: Path, file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # NFS gives no lock on what may only be read, such as another user's lease.
            return self._is_unused(path)
        return not self.is_shared or path.name.startswith(_kernel()) or self._is_unused(path)

    def _is_unused(self, path: Path) -> bool:
        return path.stat().st_mtime < self.now - LIFETIME_S

    def _is_of_earlier_kernel(self, path: Path) -> bool:
        """Return whether a lease is from before this machine's last start; nobody else uses a store of its own."""
        is_named = _NAMED_BY_KERNEL.match(path.name) is not None
        return is_named and not self.is_shared and not path.name.startswith(_kernel())


def _opened(path: Path) -> BinaryIO:
    """Open a lease so that it can be locked on every file system; one that may only be read, for reading."""
    try:
        return open(path, "r+b")
    except PermissionError:
        return open(path, "rb")


def _kernel() -> str:
    """Return the identity of the running kernel, whose processes see each other's locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        return uuid.UUID(int=uuid.getnode()).hex
