"""Leases: which blobs the running processes rely on, so that no collection deletes them meanwhile.

The store's `leases` folder holds `gate`, a lock, and a file for each running process, locked by it while it lives,
with the sha256 of every blob that the process found in the store or is going to add. A process holds the gate shared
while it notes a blob and looks for it; a collection holds the gate alone, reads every lease, and then what else is
needed. So a blob is either noted before the leases are read, or looked for after it is deleted. A killed process's lock
ends with it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from weighbridge.domain.digest import Digest
from weighbridge.store.failures import store_errors

_SUFFIX = ".lease"


class Lease:
    """The blobs that one process relies on; safe for threads. `Leases.lease` makes one."""

    def __init__(self, descriptor: int, gate: Path) -> None:
        self._descriptor, self._gate = descriptor, gate
        self._noted: set[Digest] = set()
        self._writing = Lock()

    @contextmanager
    def counting_on(self, digest: Digest) -> Iterator[None]:
        """Note a blob, and block every collection until the caller has looked for the blob or stored it."""
        if digest in self._noted:  # No collection deletes it any more.
            yield
            return
        with _flocked(self._gate, fcntl.LOCK_SH):
            with self._writing, store_errors(self._gate):
                os.write(self._descriptor, f"{digest}\n".encode())
                self._noted.add(digest)
            yield


class Leases:
    """The leases of a store."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "leases"
        self._gate = self._folder / "gate"
        with store_errors(root):
            self._folder.mkdir(exist_ok=True)
            if not self._gate.exists():
                self._gate.touch()

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Open a lease of this process; it ends with the context, or with the process."""
        with store_errors(self._folder), _flocked(self._gate, fcntl.LOCK_SH):
            descriptor, name = tempfile.mkstemp(suffix=_SUFFIX, dir=self._folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield Lease(descriptor, self._gate)
        finally:
            Path(name).unlink(missing_ok=True)
            os.close(descriptor)

    @contextmanager
    def collecting(self) -> Iterator[set[Digest]]:
        """Yield every blob that a running process relies on; no process adds one until the context ends."""
        with store_errors(self._folder), _flocked(self._gate, fcntl.LOCK_EX):
            held: set[Digest] = set()
            for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
                held |= _read(path)
            yield held


def _read(path: Path) -> set[Digest]:
    """Return the blobs of a lease; nothing for one whose process has ended, which is removed."""
    try:
        file = open(path)  # noqa: SIM115 (closed below)
    except (FileNotFoundError, IsADirectoryError):
        return set()
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return {Digest.parse(line) for line in file.read().splitlines()}
        path.unlink(missing_ok=True)
        return set()


@contextmanager
def _flocked(path: Path, how: int) -> Iterator[None]:
    with open(path, "rb") as file:
        fcntl.flock(file, how)
        yield
