"""Single members of zip archives that a format keeps its structure in, read by their names and within limits.

Not here: the walk over all members, with what is wrong with an archive (content.archives).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

#: Bytes of an archive's list of members.
MAX_DIRECTORY_SIZE = 16 * 1024 * 1024
#: What reading raises: RuntimeError for an encrypted member, NotImplementedError for a compression that zipfile lacks.
ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError, KeyError)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose list of members is within the limit. Raises one of `ERRORS`."""
    with open(path, "rb") as file, zipfile.ZipFile(_Bounded(file)) as archive:
        yield archive


def content(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Return a member's content. Raises one of `ERRORS`, ValueError for one of more than `limit` bytes."""
    with archive.open(name) as member:
        found = member.read(limit + 1)
    if len(found) > limit:
        raise ValueError(f"{name!r} has more than {limit:,} bytes")
    return found


class _Bounded(io.RawIOBase):
    """A file of which no single read is larger than an archive's list of members may be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_DIRECTORY_SIZE:
            # What is left of a file is read whole only for its end record.
            rest = self._file.read(MAX_DIRECTORY_SIZE + 1)
            if len(rest) > MAX_DIRECTORY_SIZE:
                raise ValueError("its list of members is too large")
            return rest
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
