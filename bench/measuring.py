"""Measures one command with its children: wall time, processor time, peak memory, and the load of the cores."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Measurement:
    """The cost of one run of a command.

    Attributes:
        wall_s: from start to end.
        cpu_s: processor time of the command, its children, and the daemons that it uses.
        peak_rss: bytes, the largest sum over the command and its children at one moment.
        busy: share of all cores' time that was not idle, 0 to 1.
        status: the exit status.
    """

    wall_s: float
    cpu_s: float
    peak_rss: int
    busy: float
    status: int


def measure(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, daemons: Sequence[int] = ()
) -> Measurement:
    """Run a command to its end and return its cost; its output goes to `log`.

    Args:
        command: program and arguments.
        environment: variables added to this process's own.
        log: file for stdout and stderr, appended to.
        daemons: process ids of servers whose processor time counts as the command's.
    """
    before = sum(_cpu(daemon) for daemon in daemons)
    idle = psutil.cpu_times()
    started = time.perf_counter()
    with open(log, "ab") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
    peak = _Peak(process.pid)
    peak.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    peak.stop()
    cpu_s = usage.ru_utime + usage.ru_stime + sum(_cpu(daemon) for daemon in daemons) - before
    return Measurement(wall_s, cpu_s, peak.rss, _busy(idle, psutil.cpu_times()), process.returncode)


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _busy(before: tuple[float, ...], after: tuple[float, ...]) -> float:
    spent = [b - a for a, b in zip(before, after, strict=True)]
    names = psutil.cpu_times()._fields
    idle = spent[names.index("idle")] + (spent[names.index("iowait")] if "iowait" in names else 0.0)
    # User time already includes guest time.
    total = sum(s for s, name in zip(spent, names, strict=True) if not name.startswith("guest"))
    return 1.0 - idle / total if total else 0.0


def high_water(pid: int) -> int:
    """Return the peak memory of a process since it runs its program, in bytes; 0 where it is unknown."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class _Peak(threading.Thread):
    """Samples the memory of a process and its children until stopped.

    The figure of wait4 would include this process's own memory, which the child shares until it runs its program.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._stopped = pid, threading.Event()
        self.rss = 0

    def run(self) -> None:
        while not self._stopped.wait(0.05):
            try:
                process = psutil.Process(self._pid)
                ours = process.cmdline()
                # A child that does not run its program yet still has its parent's memory and name.
                family = [process, *(p for p in process.children(recursive=True) if p.cmdline() != ours)]
                # clamd is a server that all contestants share; its memory counts for none of them.
                self.rss = max(
                    self.rss, high_water(self._pid), sum(p.memory_info().rss for p in family if p.name() != "clamd")
                )
            except (psutil.Error, OSError):
                continue

    def stop(self) -> None:
        self._stopped.set()
        self.join()
