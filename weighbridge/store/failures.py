"""Errors of the disk as errors of the store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weighbridge.errors import StoreError, StoreFull


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Convert an OSError to StoreFull or StoreError."""
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
