"""What a blob store is: content by its sha256, read from this machine."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from weighbridge.domain.digest import Digest
from weighbridge.domain.progress import Heard, unheard


class BlobStore(Protocol):
    """Content by sha256. One class for local files; another for S3 may come."""

    def has(self, digest: Digest) -> bool:
        """Return whether the whole blob is in the store."""
        ...

    def path(self, digest: Digest) -> Path:
        """Return the path of the blob on this machine, for reading only. Raises BlobMissing."""
        ...

    def prove(self, digest: Digest, heard: Heard = unheard) -> None:
        """Hash the blob, before it is given out; `heard` receives the number of bytes hashed.

        Raises:
            BlobMissing: it is not in the store.
            IntegrityError: it is damaged.
        """
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """Open the blob for reading. Raises BlobMissing."""
        ...
