"""Confinement: a header child has no network, and sees its own file, Python's and the system's libraries.

By a network namespace and by Landlock (https://docs.kernel.org/userspace-api/landlock.html); neither needs root. What
the kernel does not offer is left out; the doctor says so. Not here: limits on time and memory (sandbox).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000
_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38
# Landlock's calls have the same numbers on every machine.
_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_BENEATH, _VERSION = 1, 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
#: The rights over files that each version of Landlock knows, from the first one on.
_HANDLED = ((1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1)
#: Paths that readers open besides the file: libraries, and those of Python itself.
_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/dev/null",
    "/proc/self",
    "/sys/devices/system/cpu",
)


def confine(path: Path) -> None:
    """Give up network, files but for `path`, and life without a parent; for a process with one thread, for good."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with suppress(AttributeError):  # A C library without it.
        libc.unshare(_NEW_USER | _NEW_NETWORK)
    libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)  # After `unshare`, which would lift it.
    version = libc.syscall(_CREATE, None, 0, _VERSION)
    if version < 1:
        return
    handled = _HANDLED[min(version, len(_HANDLED)) - 1]
    rules = libc.syscall(_CREATE, struct.pack("=Q", handled), 8, 0)
    for place in {*_SYSTEM, sys.prefix, sys.base_prefix, *filter(None, sys.path), str(path)}:
        with suppress(OSError):
            descriptor = os.open(place, os.O_PATH)
            allowed = _READ_FILE | (_READ_FOLDER if os.path.isdir(place) else 0)
            libc.syscall(_ADD_RULE, rules, _BENEATH, struct.pack("=Qi", allowed, descriptor), 0)
            os.close(descriptor)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.syscall(_RESTRICT, rules, 0)
    os.close(rules)


def probe(path: Path) -> dict[str, Any]:
    """Return what a child that reads `path` can still reach: `network`, and other `files`; runs in a child."""
    with socket.socket() as asked:
        network = asked.connect_ex(("127.0.0.1", 1)) != errno.ENETUNREACH
    try:
        files = bool(os.listdir(path.parent))
    except OSError:
        files = False
    return {"network": network, "files": files}
