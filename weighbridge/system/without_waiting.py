"""Files without waiting for a disk: opened and read where the kernel has everything in memory, or else not at all.

An event loop that waits for a disk, or for another machine's, keeps everybody waiting. nginx and most servers open
files in their loop all the same, and are slow on a disk that is. Linux says what it has; other systems cannot tell,
and there nothing is opened. Not here: what is opened (store.reading).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_long, c_size_t, c_uint64, c_void_p, sizeof
from io import FileIO

#: Linux's number of `openat2`, equal for all machines but Alpha; there is no function of that name in C's library.
_OPENAT2 = 437
_AT_FDCWD = -100
#: Fail with EAGAIN where a folder or the file itself has to be looked up on the disk; since Linux 5.12.
_RESOLVE_CACHED = 0x20


class _OpenHow(ctypes.Structure):
    """Linux's `struct open_how`."""

    _fields_ = (("flags", c_uint64), ("mode", c_uint64), ("resolve", c_uint64))


def _opener() -> Callable[[bytes], int]:
    """Return what opens a file to be read, or returns a negative number."""
    if sys.platform != "linux":
        return lambda _path: -1
    how = _OpenHow(os.O_RDONLY | os.O_CLOEXEC, 0, _RESOLVE_CACHED)
    syscall = ctypes.CDLL(None).syscall
    syscall.argtypes, syscall.restype = (c_long, c_int, c_char_p, c_void_p, c_size_t), c_long
    place, size = byref(how), sizeof(how)
    return lambda path: int(syscall(_OPENAT2, _AT_FDCWD, path, place, size))


_opened = _opener()


def open_file(path: os.PathLike[str]) -> FileIO | None:
    """Open a file to be read; None where that would have to wait, the system cannot tell, or there is no such file."""
    descriptor = _opened(os.fsencode(path))
    return FileIO(descriptor) if descriptor >= 0 else None


def read(file: FileIO, start: int, length: int) -> bytearray | None:
    """Return bytes of a file; None where they are not all in memory, or the system cannot tell."""
    content = bytearray(length)
    try:
        count = os.preadv(file.fileno(), (content,), start, os.RWF_NOWAIT)
    except (OSError, AttributeError):
        return None
    return content if count == length else None


def is_there(file: FileIO, start: int, length: int) -> bool:
    """Return whether a part of a file can be read without a wait: whether its first and last byte are in memory."""
    return all(read(file, place, 1) is not None for place in (start, start + length - 1))
