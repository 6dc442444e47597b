"""The limits of this process's control group on Linux: processors and memory, set by containers and job schedulers.

Not here: which processors a process may run on (hardware).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: Version 1 writes a number near 2^63 for memory without a limit.
_NO_LIMIT = 2**60


def processors(root: Path = Path("/")) -> float:
    """Return how many processors the process may use at a time; infinite without a limit."""
    found = [math.inf]
    for folder in _folders(root, "cpu"):
        quota, period = _numbers(folder / "cpu.max"), 0.0
        if len(quota) == 2:
            quota, period = quota[:1], quota[1]
        elif not quota:
            quota, period = _numbers(folder / "cpu.cfs_quota_us"), sum(_numbers(folder / "cpu.cfs_period_us"))
        if quota and quota[0] > 0 and period > 0:
            found.append(quota[0] / period)
    return min(found)


def memory(root: Path = Path("/")) -> float:
    """Return how many bytes the process may use; infinite without a limit."""
    names = ("memory.max", "memory.limit_in_bytes")
    found = (_numbers(folder / name) for folder in _folders(root, "memory") for name in names)
    return min((limit for numbers in found for limit in numbers[:1] if 0 < limit < _NO_LIMIT), default=math.inf)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the process's groups and of all groups above, each of which limits it."""
    mounted = root / "sys/fs/cgroup"
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            top = mounted / controller if controllers else mounted
            inner = Path(path.lstrip("/"))
            # In a container the path is the host's, and the container's own group is mounted.
            yield from (top / part for part in (inner, *inner.parents) if (top / part).is_dir())


def _numbers(path: Path) -> list[float]:
    """Return the numbers in a file, without `max`; nothing where there is no such file."""
    try:
        return [float(word) for word in path.read_text().split() if word != "max"]
    except (OSError, ValueError):
        return []
