"""Second readings: what else a file is to a reader that does not look where the first mark lies.

tar's readers want a checksum, whatever the first member's name begins with; HDF5's look for their mark at 0, 512, 1,024
and so on; parquet's look at the end. Not here: zips at the end of something (content.archives), which are walked, and
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
        found = set()
        if is_tar(head) and (other := mark(head, text=False)) and not _printable(head, other):
            found.add(other)
        # What lies in an archive is a member, and examined as one.
        if kind not in ARCHIVE_FORMATS:
            found |= {"hdf5" for place in _doubled(size) if os.pread(file, len(HDF5_MARK), place) == HDF5_MARK}
            tail = os.pread(file, _TAIL_SIZE, size - _TAIL_SIZE)
            found |= {other for end, other in _ENDS if tail.endswith(end) and _has_footer(tail, end, size)}
    finally:
        os.close(file)
    return tuple(sorted(found - {kind}))


def _doubled(size: int) -> Iterator[int]:
    """Yield where HDF5's readers look for its mark beside the first byte: behind a block of the user's own."""
    place = HDF5_BLOCK
    while place < size:
        yield place
        place *= 2


def _has_footer(tail: bytes, end: bytes, size: int) -> bool:
    """Whether the length before the mark is one that a footer of the file can have."""
    return 0 < int.from_bytes(tail[-len(end) - 4 : -len(end)], "little") < size - 2 * len(end)


def _printable(head: bytes, kind: str) -> bool:
    """Whether a tar's first name is nothing but a name that happens to begin as a mark of letters does."""
    name = head[:100].partition(b"\0")[0]
    return kind in _NAMES and name.isascii() and name.decode().isprintable()
