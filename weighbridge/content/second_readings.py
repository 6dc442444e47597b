"""Second readings: further formats of a file, for readers that do not look at the first mark.

tar's readers check only a checksum, with any first member's name; HDF5's look for their mark at 0, 512, 1,024
and so on; parquet's look at the end. Not here: zips at the end of a file (content.archives), which are walked, and
pickles, which are searched for (content.pickles).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from weighbridge.content.detection import HEAD_SIZE
from weighbridge.content.marks import HDF5_BLOCK, HDF5_MARK, is_tar, mark
from weighbridge.domain.format_names import ARCHIVE_FORMATS

#: What ends a file that its readers open by its end.
_TAIL_SIZE = 16
#: Bytes that any of these needs at least.
_SMALLEST = 16
_ENDS = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"))
#: Formats of letters and digits: a tar whose first member is called so is one like any other.
_NAMES = frozenset({"image", "audio", "video", "font", "postscript"})


class Excerpts:
    """What second readings look at of content that streams by, so that no tensor is written to a temporary file.

    Args:
        head: its first bytes, `HEAD_SIZE` of them or all; `add` gets them too.
    """

    def __init__(self, head: bytes) -> None:
        self._head, self._tail, self._size = head, b"", 0
        self._place = HDF5_BLOCK
        self._marked = False

    def add(self, chunk: bytes) -> None:
        """Take the next piece of the content."""
        start, self._size = self._size, self._size + len(chunk)
        while self._place + len(HDF5_MARK) <= self._size:
            at = self._place - start
            around = chunk[at : at + len(HDF5_MARK)] if at >= 0 else (self._tail + chunk)[_TAIL_SIZE + at :]
            self._marked |= around.startswith(HDF5_MARK)
            self._place *= 2
        self._tail = (self._tail + chunk[-_TAIL_SIZE:])[-_TAIL_SIZE:]

    def second_readings(self, kind: str) -> tuple[str, ...]:
        """Return what the function of that name does, once all of the content was taken."""
        return _judged(kind, self._size, self._head, self._tail, marked=self._marked)


def second_readings(path: Path, kind: str, size: int) -> tuple[str, ...]:
    """Return the formats that other readers find in a file besides its own, sorted.

    Args:
        path: where its bytes are.
        kind: its format.
        size: bytes.
    """
    if size < _SMALLEST:
        return ()
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(file, HEAD_SIZE, 0)
        tail = os.pread(file, _TAIL_SIZE, size - _TAIL_SIZE)
        marked = any(os.pread(file, len(HDF5_MARK), place) == HDF5_MARK for place in _doubled(size))
    finally:
        os.close(file)
    return _judged(kind, size, head, tail, marked=marked)


def _judged(kind: str, size: int, head: bytes, tail: bytes, *, marked: bool) -> tuple[str, ...]:
    """Return the other formats, by a file's first and last bytes and whether HDF5's mark is where its readers look."""
    if size < _SMALLEST:
        return ()
    others = set()
    if is_tar(head) and (other := mark(head, text=False)) and not _printable(head, other):
        others.add(other)
    # What is stored in an archive is a member, and examined as one.
    if kind not in ARCHIVE_FORMATS:
        others |= {"hdf5"} if marked else set()
        others |= {other for end, other in _ENDS if tail.endswith(end) and _has_footer(tail, end, size)}
    return tuple(sorted(others - {kind}))


def _doubled(size: int) -> Iterator[int]:
    """Yield the offsets besides 0 at which HDF5's readers look for its mark: after a user block."""
    place = HDF5_BLOCK
    while place < size:
        yield place
        place *= 2


def _has_footer(tail: bytes, end: bytes, size: int) -> bool:
    """Return whether the length before the mark is a possible one of a footer."""
    return 0 < int.from_bytes(tail[-len(end) - 4 : -len(end)], "little") < size - 2 * len(end)


def _printable(head: bytes, kind: str) -> bool:
    """Return whether a tar's first name is only a name that happens to begin like a mark of letters."""
    name = head[:100].partition(b"\0")[0]
    return kind in _NAMES and name.isascii() and name.decode().isprintable()
