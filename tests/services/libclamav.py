"""ClamAV's engine in this process, for tests that need many databases; clamd is a server around it."""

from __future__ import annotations

import ctypes
from ctypes.util import find_library
from pathlib import Path

#: clamav.h: CL_DB_STDOPT is the signatures of phishing, its addresses, and bytecode; clamd asks for no others.
_STANDARD = 0x2 | 0x8 | 0x2000
_CLEAN, _VIRUS = 0, 1


class _Options(ctypes.Structure):
    """`struct cl_scan_options`."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("general", "parse", "heuristic", "mail", "dev")]


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(find_library("clamav") or "libclamav.so.12")
    library.cl_engine_new.restype = ctypes.c_void_p
    library.cl_strerror.restype = ctypes.c_char_p
    library.cl_init(0)
    return library


_LIBRARY = _library()


class Engine:
    """An engine with the signatures of a folder; parses all that clamd does, with its heuristics off.

    Args:
        folder: the signatures.

    Raises:
        ValueError: libclamav does not load them.
    """

    def __init__(self, folder: Path) -> None:
        self._engine = ctypes.c_void_p(_LIBRARY.cl_engine_new())
        count = ctypes.c_uint(0)
        for step in (
            lambda: _LIBRARY.cl_load(str(folder).encode(), self._engine, ctypes.byref(count), _STANDARD),
            lambda: _LIBRARY.cl_engine_compile(self._engine),
        ):
            if error := step():
                raise ValueError(_LIBRARY.cl_strerror(error).decode())

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        _LIBRARY.cl_engine_free(self._engine)

    def finds(self, path: Path) -> str:
        """Return the name of what it recognises in a file, or nothing."""
        name, options = ctypes.c_char_p(), _Options(parse=0xFFFFFFFF)
        state = _LIBRARY.cl_scanfile(str(path).encode(), ctypes.byref(name), None, self._engine, ctypes.byref(options))
        if state == _VIRUS:
            return (name.value or b"?").decode()
        if state != _CLEAN:
            raise ValueError(_LIBRARY.cl_strerror(state).decode())
        return ""
