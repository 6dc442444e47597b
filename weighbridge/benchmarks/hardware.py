"""What machine a benchmark ran on, how busy it was, and with which software; read, never assumed."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from weighbridge import __version__

_PACKAGES = ("torch", "transformers", "lm_eval", "accelerate", "tokenizers", "safetensors", "gguf", "numpy")
#: Load a core, before a run, above which its numbers are called noisy.
QUIET_LOAD = 0.5


def hardware(device: str) -> dict[str, Any]:
    """Return the facts that make numbers comparable: equal facts, equal machines as far as can be seen.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or the host of an endpoint.
    """
    facts: dict[str, Any] = {
        "device": device,
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": psutil.virtual_memory().total,
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
    """Return the versions of Weighbridge, Python and the libraries that measure."""
    found = {"weighbridge": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def load_per_core() -> float:
    """Return the load average of the last minute for each core."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _driver() -> str:
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return ""
    words = text.split()
    return next((word for word in words if word.count(".") >= 1 and word[0].isdigit()), "")
