"""Piece sums: where a blob is damaged, so that only that is received again.

A sum is noted wherever a piece of 1 MiB ends: the first 8 bytes of the sha256 of everything up to there, which is at
hand while a blob is hashed and costs next to nothing. It therefore holds only while all before it is whole: who looks
for a second damaged piece mends the first one before. Sums find damage; what proves a blob is its whole sha256. A file
of sums is docs/formats.md's `weighbridge.pieces/1`. Not here: the blobs (store.local), or how they are mended
(repairing).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

#: Bytes of a piece.
PIECE = 1024 * 1024
#: Bytes of a blob from which on its sums are kept: a smaller one is fetched as fast as it is mended.
WORTHWHILE = 4 * PIECE
#: Bytes of a sum.
WIDTH = 8
HEADER = b"weighbridge.pieces/1\n"


def sums_of(content: bytes) -> tuple[bytes, ...] | None:
    """Return the sums that a file of them holds; None when it is none. A sum that was cut off is left out."""
    if not content.startswith(HEADER):
        return None
    rest = content[len(HEADER) :]
    return tuple(rest[start : start + WIDTH] for start in range(0, len(rest) - WIDTH + 1, WIDTH))


def read_sums(path: Path) -> tuple[bytes, ...] | None:
    """Return the sums in a file, or None where there is no such file or it holds something else."""
    with suppress(FileNotFoundError):
        return sums_of(path.read_bytes())
    return None


class SumsFile:
    """The sums of a blob on its way in, in a file that appears with the first one.

    A kill leaves the last pieces without sums, as they are noted beside the writing; how many, the blob store knows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> tuple[bytes, ...] | None:
        """Return what an earlier attempt noted, or None."""
        return read_sums(self._path)

    def settle(self, sums: list[bytes]) -> None:
        """Make the file hold exactly these sums, in one step."""
        self.close()
        content = HEADER + b"".join(sums)
        if not sums:
            self._path.unlink(missing_ok=True)
        elif not self._path.exists() or self._path.read_bytes() != content:
            writing = self._path.with_suffix(".writing.pieces")
            writing.write_bytes(content)
            os.replace(writing, self._path)

    def append(self, piece_sum: bytes) -> None:
        """Note one more sum."""
        if self._file is None:
            self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 (closed by `close`)
            if self._file.tell() == 0:
                piece_sum = HEADER + piece_sum
        self._file.write(piece_sum)

    def close(self) -> None:
        """Close the file; what was noted stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def adopt(self, target: Path) -> None:
        """Give the file its name beside a finished blob."""
        self.close()
        if self._path.exists():
            target.parent.mkdir(exist_ok=True)
            os.replace(self._path, target)

    def remove(self) -> None:
        """Forget every sum."""
        self.close()
        self._path.unlink(missing_ok=True)
