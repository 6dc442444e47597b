"""The name under which a process works at something that only one process may do, and whether that process is no more.

Not here: the leases themselves (catalog.rescans, catalog.hub_passes).
"""

from __future__ import annotations

import os
import secrets
import socket

import psutil


def own_name() -> str:
    """Return a name for one piece of work of this process: host, process id and something random."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_gone(owner: str) -> bool:
    """Return whether an owner was a process of this machine that is no more."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    return host == socket.gethostname() and rest.isdigit() and not psutil.pid_exists(int(rest))
