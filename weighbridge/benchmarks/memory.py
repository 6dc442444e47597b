"""`memory`: the most memory that a model takes, loaded and while it answers.

The process is the child that loaded nothing else; its peak is the kernel's own (`ru_maxrss`). On a GPU torch's own
allocator says what it took (allocated) and what it holds (reserved).
"""

from __future__ import annotations

import resource
import sys
import threading
from typing import Any, ClassVar

from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.prompts import random_tokens
from weighbridge.domain.result import Metric
from weighbridge.errors import BenchmarkFailed
from weighbridge.handlers.interface import Handler


class Memory:
    """See the module."""

    name: ClassVar[str] = "memory"
    definition: ClassVar[str] = "memory/1"
    capability: ClassVar[str] = "chat-completion"

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Answer one prompt and read the peaks.

        Raises:
            BenchmarkFailed: the model runs elsewhere.
            HandlerError, OutOfMemory: the handler fails.
        """
        model: Any = getattr(handler, "model", None)
        if model is None:
            raise BenchmarkFailed(f"{handler.name} runs elsewhere, where its memory cannot be seen.")
        complete: Any = getattr(handler, "complete")  # noqa: B009 (not of the protocol)
        prompt = random_tokens(getattr(handler, "tokenizer"), settings.prompt_tokens, settings.seed)  # noqa: B009
        complete([prompt], max_new_tokens=settings.output_tokens, min_new_tokens=settings.output_tokens)
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
            "prompt_tokens": settings.prompt_tokens,
            "output_tokens": settings.output_tokens,
            "seed": settings.seed,
        }
        return Measured(tuple(metrics), chosen)


def _peak_rss() -> int:
    """Return the most memory that this process has had, in bytes; the kernel counts kilobytes on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
