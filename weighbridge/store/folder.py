"""A folder read in place: its files as computed entries and as blobs, without copying them into the store."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import BinaryIO

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.progress import Heard, Progress, unheard
from weighbridge.errors import BlobMissing, IntegrityError, StoreError

_CHUNK = 4 * 1024 * 1024


class FolderBlobs:
    """A declared folder's files as blobs; satisfies `BlobStore` for reading.

    Args:
        declared: the manifest of a `file` source; its reference's id is the folder or file.
        progress: receives the bytes hashed.
    """

    def __init__(self, declared: Manifest, progress: Progress) -> None:
        root = Path(declared.ref.id)
        self._paths: dict[Digest, Path] = {}
        files = []
        progress.expect("hash", declared.size)
        for entry in declared.files:
            path = root / entry.path if root.is_dir() else root
            try:
                with open(path, "rb") as file:
                    digest = _sha256(file, partial(progress.advance, "hash"))
                    size = file.tell()
            except OSError as error:
                raise StoreError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
            self._paths[digest] = path
            files.append(FileEntry(entry.path, size, digest))
        self.manifest = Manifest(declared.ref, tuple(files))

    def has(self, digest: Digest) -> bool:
        """Return whether a file of the folder has that sha256."""
        return digest in self._paths

    def path(self, digest: Digest) -> Path:
        """Return the file's path. Raises BlobMissing."""
        if digest not in self._paths:
            raise BlobMissing(f"No file of the folder is {digest}.", "It changed while it was read: scan it again.")
        return self._paths[digest]

    def prove(self, digest: Digest, heard: Heard = unheard) -> None:
        """Hash the file again. Raises BlobMissing, and IntegrityError where it changed."""
        with open(self.path(digest), "rb") as file:
            actual = _sha256(file, heard)
        if actual != digest:
            raise IntegrityError(
                f"{self.path(digest)} changed while it was read.",
                "Scan it again.",
                expected=digest.hex,
                actual=actual.hex,
            )

    def open(self, digest: Digest) -> BinaryIO:
        """Open the file. Raises BlobMissing."""
        return open(self.path(digest), "rb")


def _sha256(file: BinaryIO, heard: Heard) -> Digest:
    hash_ = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        hash_.update(chunk)
        heard(len(chunk))
    return Digest("sha256", hash_.hexdigest())
