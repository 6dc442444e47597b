"""Zip archives at the end of another file: their readers find them by the end record, with any content before it.

Format: PKWARE APPNOTE 6.3.10, 4.3.16. Not here: what is in such an archive (zip_reader).
"""

from __future__ import annotations

import struct
from typing import IO

_DIRECTORY_MAGIC = b"PK\x01\x02"
_END_MAGIC = b"PK\x05\x06"
_LOCATOR_MAGIC = b"PK\x06\x07"
_LOCATOR_SIZE = 20
#: Magic, bytes and place of the directory.
_END = struct.Struct("<4s8xLL2x")
#: The bytes at a file's end that contain the record, the locator of zip64 before it, and a comment of 64 KiB.
TAIL_SIZE = _LOCATOR_SIZE + _END.size + 0xFFFF


def is_zip(file: IO[bytes]) -> bool:
    """Return whether a file ends in a zip archive. Reads its tail and a few bytes more."""
    size = file.seek(0, 2)
    file.seek(max(0, size - TAIL_SIZE))
    return _ends_in_zip(file.read(TAIL_SIZE), size, file)


def may_be_zip(tail: bytes, size: int) -> bool:
    """Return whether a file of `size` bytes may end in a zip archive, from its last `TAIL_SIZE` bytes only."""
    return _ends_in_zip(tail, size, None)


def _ends_in_zip(tail: bytes, size: int, file: IO[bytes] | None) -> bool:
    """Look for an end record that has a directory, since chance alone makes a record's four bytes now and then.

    The directory is expected where either kind of reader looks: right before the record, or at the record's offset.
    """
    start = size - len(tail)
    place = tail.rfind(_END_MAGIC)
    while place >= 0:
        if len(tail) - place >= _END.size:
            _, length, offset = _END.unpack_from(tail, place)
            if tail[max(0, place - _LOCATOR_SIZE) :].startswith(_LOCATOR_MAGIC):
                return True
            before = start + place - length
            if any(_is_directory(at, tail, start, file) for at in (before, offset)):
                return True
            # Only the tail is left to read. Two offsets that agree are not a coincidence.
            if file is None and 0 <= before < start and offset <= before:
                return True
        place = tail.rfind(_END_MAGIC, 0, place)
    return False


def _is_directory(at: int, tail: bytes, start: int, file: IO[bytes] | None) -> bool:
    if at >= start:
        return tail[at - start :].startswith(_DIRECTORY_MAGIC)
    if file is None or at < 0:
        return False
    file.seek(at)
    return file.read(len(_DIRECTORY_MAGIC)) == _DIRECTORY_MAGIC
