"""Piece sums: they locate the damage in a blob, so that only the damaged pieces are received again.

There is one sum for each piece of 1 MiB: the first 8 bytes of the sha256 of everything up to the piece's end, which
costs next to nothing while a blob is hashed. A sum is therefore valid only while all pieces before it are undamaged: a
repair mends them in order. Sums find damage; only the whole sha256 proves a blob. docs/formats.md describes a file of
sums as `weighbridge.pieces/1`. Not here: the blobs (store.local), or how they are repaired (repairing).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from weighbridge.system import whole_files

#: Bytes of a piece.
PIECE = 1024 * 1024
#: Bytes of the smallest blob with stored sums: a smaller one is fetched as fast as it is repaired.
WORTHWHILE = 4 * PIECE
#: Bytes of a sum.
WIDTH = 8
HEADER = b"weighbridge.pieces/1\n"


def sums_of(content: bytes) -> tuple[bytes, ...] | None:
    """Return the sums in the content of a sums file; None when it is not one. A sum that was cut off is left out."""
    if not content.startswith(HEADER):
        return None
    rest = content[len(HEADER) :]
    return tuple(rest[start : start + WIDTH] for start in range(0, len(rest) - WIDTH + 1, WIDTH))


def read_sums(path: Path) -> tuple[bytes, ...] | None:
    """Return the sums in a file, or None where the file is missing or not a sums file."""
    with suppress(FileNotFoundError):
        return sums_of(path.read_bytes())
    return None


class SumsFile:
    """The sums of a blob on its way in, in a file that appears with the first one.

    A kill leaves the last pieces without sums, since these are written at the same time; store.incoming has the limit.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> tuple[bytes, ...] | None:
        """Return the sums of an earlier attempt, or None."""
        return read_sums(self._path)

    def settle(self, sums: list[bytes]) -> None:
        """Make the file hold exactly these sums, in one step."""
        self.close()
        content = HEADER + b"".join(sums)
        if not sums:
            self._path.unlink(missing_ok=True)
        elif not self._path.exists() or self._path.read_bytes() != content:
            whole_files.write(self._path, content)

    def append(self, piece_sum: bytes) -> None:
        """Append one sum."""
        if self._file is None:
            self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 (closed by `close`)
            if self._file.tell() == 0:
                piece_sum = HEADER + piece_sum
        self._file.write(piece_sum)

    def close(self) -> None:
        """Close the file; its sums stay."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def adopt(self, target: Path) -> None:
        """Move the file to its final name beside a finished blob."""
        self.close()
        if self._path.exists():
            target.parent.mkdir(exist_ok=True)
            os.replace(self._path, target)

    def remove(self) -> None:
        """Remove the file."""
        self.close()
        self._path.unlink(missing_ok=True)
