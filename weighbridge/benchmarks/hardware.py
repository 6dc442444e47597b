"""The machine of a benchmark, its load from other processes, and its software; read, never assumed.

A machine is the part that this process may use: the processors of its affinity and control group, and its memory.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from weighbridge import __version__
from weighbridge.benchmarks import cgroup

_PACKAGES = ("torch", "transformers", "lm_eval", "accelerate", "tokenizers", "safetensors", "gguf", "numpy")
#: The share of the processors' time used by other processes during a run above which its numbers are noisy.
QUIET_SHARE = 0.25
#: Lines of /proc/cpuinfo that distinguish processors to which a hypervisor gives the same name.
_FAMILY = {
    "cpu family": "family",
    "model": "model",
    "stepping": "stepping",
    "CPU implementer": "by",
    "CPU part": "part",
}


def hardware(device: str) -> dict[str, Any]:
    """Return the facts that make numbers comparable: equal facts mean equal machines, as far as visible.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or the host of an endpoint.
    """
    facts: dict[str, Any] = {
        "device": device,
        "processor": _processor(),
        "cores": _cores(),
        "memory": int(min(psutil.virtual_memory().total, cgroup.memory())),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    if device.startswith("cuda"):
        import torch

        index = int(device.partition(":")[2] or torch.cuda.current_device())
        properties = torch.cuda.get_device_properties(index)
        facts |= {
            "gpu": properties.name,
            "gpu_count": torch.cuda.device_count(),
            "gpu_memory": properties.total_memory,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
            "driver": _driver(),
        }
    return facts


def software() -> dict[str, str]:
    """Return the versions of Weighbridge, Python and the measured libraries."""
    found = {"weighbridge": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def load_per_core() -> float:
    """Return the load average of the last minute for each core of the machine."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


@dataclass(frozen=True)
class ProcessorTimes:
    """Seconds of processor time until a moment.

    Attributes:
        at_s: the moment.
        busy_s: those of all processes, on the processors that this one may use.
        own_s: those of this process and the children that it waited for.
    """

    at_s: float
    busy_s: float
    own_s: float

    @classmethod
    def now(cls) -> ProcessorTimes:
        """Return the times until now."""
        every = psutil.cpu_times(percpu=True)
        usable = _affinity()
        used = [times for number, times in enumerate(every) if number in usable] or every
        idle = ("idle", "iowait", "guest", "guest_nice")  # User time includes a guest's time.
        busy_s = sum(sum(times) - sum(getattr(times, name, 0.0) for name in idle) for times in used)
        return cls(time.monotonic(), busy_s, sum(os.times()[:4]))

    def share_of_others(self, later: ProcessorTimes) -> float:
        """Return the share of the usable processors' time that other processes used until a later moment."""
        passed_s = (later.at_s - self.at_s) * len(_affinity())
        others_s = (later.busy_s - self.busy_s) - (later.own_s - self.own_s)
        return min(max(others_s / passed_s, 0.0), 1.0) if passed_s > 0 else 0.0


def busy(share: float) -> str:
    """Return a sentence if other processes disturbed a run, or nothing."""
    return f"other processes used {share:.0%} of the processors during the run" if share > QUIET_SHARE else ""


def _affinity() -> set[int]:
    """Return the numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _cores() -> float:
    """Return how many processors this process may use; a control group may allow a part of one."""
    allowed = round(min(len(_affinity()), cgroup.processors()), 2)
    return int(allowed) if allowed == int(allowed) else allowed


def _processor() -> str:
    """Return the processor's name; a name without a number is a family's, and gets the facts of its model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name") or platform.machine()
    known = [f"{word} {facts[key]}" for key, word in _FAMILY.items() if facts.get(key)]
    return name if any(letter.isdigit() for letter in name) or not known else f"{name} ({', '.join(known)})"


def _driver() -> str:
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return ""
    words = text.split()
    return next((word for word in words if word.count(".") >= 1 and word[0].isdigit()), "")
