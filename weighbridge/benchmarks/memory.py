"""`memory`: the most memory of a model, loaded and while it answers.

The process is a child that loads nothing else, and work that is done once, such as a conversion, was done in another
child before it. Its peak is the kernel's own. On a GPU torch's own allocator reports the memory of tensors (allocated)
and its own (reserved).
"""

from __future__ import annotations

import resource
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

from weighbridge.benchmarks.fixed_requests import answer
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.domain.result import Metric
from weighbridge.errors import BenchmarkFailed
from weighbridge.handlers.interface import Handler


class Memory:
    """See the module."""

    name: ClassVar[str] = "memory"
    definition: ClassVar[str] = "memory/2"
    capability: ClassVar[str] = "chat-completion"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ("model",)

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Answer one prompt and read the peaks.

        Raises:
            BenchmarkFailed: the model runs elsewhere.
            HandlerError, OutOfMemory: the handler fails.
        """
        model: Any = getattr(handler, "model", None)
        if not hasattr(model, "parameters"):
            raise BenchmarkFailed(f"{handler.name} runs elsewhere, where its memory is not visible.")
        prompt = answer(handler, settings, settings.seed)
        weights = sum(part.numel() * part.element_size() for part in model.parameters())
        metrics = [
            Metric("weights", float(weights), "bytes", 1, better="lower"),
            Metric("peak_rss", float(_peak_rss()), "bytes", 1, better="lower"),
        ]
        if str(handler.device).startswith("cuda"):
            import torch

            metrics += [
                Metric("peak_allocated", float(torch.cuda.max_memory_allocated()), "bytes", 1, better="lower"),
                Metric("peak_reserved", float(torch.cuda.max_memory_reserved()), "bytes", 1, better="lower"),
            ]
        chosen = {
            "prompt": prompt,
            "prompt_tokens": settings.prompt_tokens,
            "output_tokens": settings.output_tokens,
            "seed": settings.seed,
        }
        return Measured(tuple(metrics), chosen)


def _peak_rss() -> int:
    """Return the peak memory of this process, in bytes.

    On Linux `ru_maxrss` of a child includes the parent's memory; VmHWM is that of this program only.
    """
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
