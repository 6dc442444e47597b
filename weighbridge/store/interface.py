"""What a blob store is: content by its sha256, read from this machine."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from weighbridge.domain.digest import Digest
from weighbridge.domain.progress import Heard, unheard


class BlobStore(Protocol):
    """Content by sha256. One class for local files; another for S3 may come."""

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here, whole."""
        ...

    def path(self, digest: Digest) -> Path:
        """Return where the blob can be read on this machine; nobody writes to it. Raises BlobMissing."""
        ...

    def prove(self, digest: Digest, heard: Heard = unheard) -> None:
        """Hash the blob, before it is given out; `heard` hears of all its bytes.

        Raises:
            BlobMissing: it is not here.
            IntegrityError: it is damaged.
        """
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """Open the blob for reading. Raises BlobMissing."""
        ...
