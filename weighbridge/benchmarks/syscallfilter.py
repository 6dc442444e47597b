"""The system calls that generated code may not make, as a seccomp filter: classic BPF over struct seccomp_data (Linux).

Calls that create a second process or thread, a socket, memory without a limit, or another namespace are forbidden.
Namespaces and limits cover the rest. Not here: starting a program with it (codesandbox).
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

# struct sock_filter: code, jump if true, jump if false, operand (linux/filter.h).
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER_AT, _MACHINE_AT = 0, 4
#: The first number of x86-64's calls with 32-bit pointers, which are the same calls under other numbers.
_X32 = 0x40000000


@dataclass(frozen=True)
class _Machine:
    """A processor's AUDIT_ARCH (linux/audit.h) and its numbers of the forbidden calls (asm/unistd.h)."""

    audit: int
    calls: dict[str, int]


# Calls from 424 on have the same number on all processors.
_EVERYWHERE = {
    "io_uring_setup": 425,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "clone3": 435,
    "pidfd_getfd": 438,
    "memfd_secret": 447,
}
_MACHINES = {
    "x86_64": _Machine(
        0xC000003E,
        _EVERYWHERE
        | {"clone": 56, "fork": 57, "vfork": 58, "socket": 41, "socketpair": 53}
        | {"shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "mq_open": 240, "memfd_create": 319}
        | {"unshare": 272, "setns": 308, "mount": 165, "ptrace": 101, "bpf": 321, "perf_event_open": 298}
        | {"userfaultfd": 323, "add_key": 248, "request_key": 249, "keyctl": 250}
        | {"process_vm_readv": 310, "process_vm_writev": 311},
    ),
    "aarch64": _Machine(
        0xC00000B7,
        _EVERYWHERE
        | {"clone": 220, "socket": 198, "socketpair": 199}
        | {"shmget": 194, "shmat": 196, "semget": 190, "msgget": 186, "mq_open": 180, "memfd_create": 279}
        | {"unshare": 97, "setns": 268, "mount": 40, "ptrace": 117, "bpf": 280, "perf_event_open": 241}
        | {"userfaultfd": 282, "add_key": 217, "request_key": 218, "keyctl": 219}
        | {"process_vm_readv": 270, "process_vm_writev": 271},
    ),
}


def syscall_filter(machine: str = "") -> bytes:
    """Return the filter, ready for the kernel; empty for a machine whose calls are not known here.

    1. Calls of another processor type, such as 32-bit ones, kill the process.
    2. Forbidden calls fail with EPERM.
    3. All others are allowed.

    Args:
        machine: `x86_64` or `aarch64`; this one's when empty.
    """
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return b""
    numbers = sorted(known.calls.values())
    tests = [(_AT_LEAST, _X32), *((_EQUAL, number) for number in numbers)]
    steps = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, known.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        # A jump counts the steps to skip: the remaining tests, and the step that allows.
        *((code, len(tests) - place, 0, operand) for place, (code, operand) in enumerate(tests)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
