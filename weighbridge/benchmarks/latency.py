"""`inference_latency`: how long one request takes when nothing else is asked, from its start to each of its tokens.

Definitions, as vLLM's benchmarks have them: TTFT, start to first token; ITL, between two tokens that follow each other,
pooled over all requests; TPOT, (end to end - TTFT) / (tokens - 1), one a request; end to end, start to last token.
Prompts are of `prompt_tokens`, answers of exactly `output_tokens`, greedy, after `warmups` requests that do not count.
At an endpoint a token is a piece of its stream, and prompts are of as many words.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

from weighbridge.benchmarks.hardware import QUIET_LOAD, load_per_core
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.prompts import random_messages, random_tokens
from weighbridge.benchmarks.statistics import mean, quantile, variation
from weighbridge.domain.result import Metric
from weighbridge.errors import BenchmarkFailed, Cancelled
from weighbridge.handlers.interface import Handler

#: Samples when nobody says: enough for P95; P99 takes 299.
SAMPLES = 60
#: Spread of the end-to-end times, relative to their median, above which a run is called noisy.
QUIET_SPREAD = 0.25
_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
#: Makes one request with a seed, calling back for each token.
Request = Callable[[int, Callable[[], None]], None]


class InferenceLatency:
    """See the module."""

    name: ClassVar[str] = "inference_latency"
    definition: ClassVar[str] = "inference_latency/1"
    capability: ClassVar[str] = "chat-completion"

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure one request at a time.

        Raises:
            BenchmarkFailed: the model gives fewer tokens than two a request.
            HandlerError, OutOfMemory: the handler fails.
            Cancelled: `cancel_event` was set.
        """
        ask, counted_as = requests(handler, settings)
        n, load = settings.n or SAMPLES, load_per_core()
        samples: dict[str, list[float]] = {"ttft": [], "itl": [], "tpot": [], "e2e": []}
        for number in range(-settings.warmups, n):
            if cancel_event.is_set():
                raise Cancelled("The benchmark was cancelled.")
            stamps = _timed(ask, settings.seed + number + settings.warmups)
            if len(stamps) < 3:
                raise BenchmarkFailed(
                    f"The model gave {len(stamps) - 1} tokens, and two are the least that can be timed.",
                    "Ask for more with output_tokens.",
                )
            if number >= 0:
                _add(samples, stamps)
        spread = variation(samples["e2e"])
        chosen = {
            "n": n,
            "warmups": settings.warmups,
            "prompt_tokens": settings.prompt_tokens,
            "output_tokens": settings.output_tokens,
            "seed": settings.seed,
            "sampling": "greedy",
            "token": counted_as,
        }
        return Measured(_metrics(samples), chosen, samples, noise(load, spread))


def requests(handler: Any, settings: BenchmarkSettings) -> tuple[Request, str]:
    """Return how a handler is asked for answers of a fixed length, and what counts as a token."""
    if hasattr(handler, "complete"):

        def complete(seed: int, on_token: Callable[[], None]) -> None:
            prompt = random_tokens(handler.tokenizer, settings.prompt_tokens, seed)
            length = settings.output_tokens
            handler.complete([prompt], on_token=on_token, max_new_tokens=length, min_new_tokens=length)

        return complete, "token"
    if hasattr(handler, "stream"):

        def stream(seed: int, on_token: Callable[[], None]) -> None:
            messages = random_messages(settings.prompt_tokens, seed)
            options = {"max_new_tokens": settings.output_tokens, "temperature": 0.0, "top_p": 1.0}
            handler.stream(messages, on_token=on_token, **options)

        return stream, "piece of a stream"
    raise BenchmarkFailed(
        f"{handler.name} does not say when each token is there.",
        "A handler of your own needs `complete` or `stream` as weighbridge.handlers.chat and .upstream have them.",
    )


def noise(load: float, spread: float) -> str:
    """Return why numbers may be disturbed, or empty."""
    reasons = []
    if load > QUIET_LOAD:
        reasons.append(f"the machine was busy before it began: load {load:.1f} a core")
    if spread > QUIET_SPREAD:
        reasons.append(f"the samples spread by {spread:.0%} of their median")
    return "; ".join(reasons)


def _timed(ask: Request, seed: int) -> list[float]:
    """Return the moments of start and of each token, in seconds."""
    stamps = [time.perf_counter()]
    ask(seed, lambda: stamps.append(time.perf_counter()))
    return stamps


def _add(samples: dict[str, list[float]], stamps: list[float]) -> None:
    start, first, last = stamps[0], stamps[1], stamps[-1]
    samples["ttft"].append(first - start)
    samples["itl"] += [after - before for before, after in pairwise(stamps[1:])]
    samples["tpot"].append((last - first) / (len(stamps) - 2))
    samples["e2e"].append(last - start)


def _metrics(samples: dict[str, list[float]]) -> tuple[Metric, ...]:
    found = [
        quantile(f"{name}_{word}", samples[name], share, "s")
        for name in ("ttft", "itl", "e2e")
        for word, share in _QUANTILES
    ]
    return (*found, mean("tpot_mean", samples["tpot"], "s", "lower"))
