"""`inference_latency`: the time of a single request without others, from its start to each of its tokens.

The definitions are those of vLLM's benchmarks: TTFT, start to first token; ITL, between two consecutive tokens, pooled
over all requests; TPOT, (end to end - TTFT) / (tokens - 1), one for each request; end to end, start to last token.
Prompts have `prompt_tokens`, answers exactly `output_tokens`, greedy, after `warmups` requests that do not count. At an
endpoint prompts have as many words. Its stream has pieces, which may have several tokens: TTFT and ITL are those of
pieces, and TPOT is that of the tokens that the service counts.
"""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import ClassVar

from weighbridge.benchmarks.fixed_requests import Request, asking, ended_early
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.statistics import mean, quantile, spread
from weighbridge.domain.result import Metric
from weighbridge.errors import Cancelled, HandlerError
from weighbridge.handlers.interface import Handler

#: The default number of samples: enough for P95; P99 needs 299.
SAMPLES = 60
_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


class InferenceLatency:
    """See the module."""

    name: ClassVar[str] = "inference_latency"
    definition: ClassVar[str] = "inference_latency/2"
    capability: ClassVar[str] = "chat-completion"
    methods: ClassVar[tuple[str, ...]] = ("complete", "stream")
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure one request at a time.

        Raises:
            HandlerError, OutOfMemory: the handler fails, or generates fewer than two tokens for a request.
            Cancelled: `cancel_event` was set.
        """
        asked, n = asking(handler, settings), settings.n or SAMPLES
        samples: dict[str, list[float]] = {"ttft": [], "itl": [], "tpot": [], "e2e": []}
        counted: list[int | None] = []
        for number in range(-settings.warmups, n):
            if cancel_event.is_set():
                raise Cancelled("The benchmark was cancelled.")
            stamps, tokens = _timed(asked.ask, settings.seed + number + settings.warmups)
            if len(stamps) < 3:
                raise HandlerError(
                    f"The model generated {len(stamps) - 1} tokens, and timing needs two.",
                    "Request more with output_tokens.",
                )
            if number >= 0:
                counted.append(tokens)
                _add(samples, stamps, tokens or len(stamps) - 1)
        chosen = {
            "n": n,
            "warmups": settings.warmups,
            "prompt_tokens": settings.prompt_tokens,
            "output_tokens": settings.output_tokens,
            "seed": settings.seed,
            "sampling": "greedy",
            "token": asked.moment,
        }
        notes = spread(samples["e2e"]), ended_early(counted, settings.output_tokens)
        return Measured(_metrics(samples), chosen, samples, "; ".join(filter(None, notes)))


def _timed(ask: Request, seed: int) -> tuple[list[float], int | None]:
    """Return the moments of start and of each token, in seconds, and the counted tokens."""
    stamps = [time.perf_counter()]
    tokens = ask(seed, lambda: stamps.append(time.perf_counter()))
    return stamps, tokens


def _add(samples: dict[str, list[float]], stamps: list[float], tokens: int) -> None:
    start, first, last = stamps[0], stamps[1], stamps[-1]
    samples["ttft"].append(first - start)
    samples["itl"] += [after - before for before, after in pairwise(stamps[1:])]
    samples["tpot"].append((last - first) / max(tokens - 1, 1))
    samples["e2e"].append(last - start)


def _metrics(samples: dict[str, list[float]]) -> tuple[Metric, ...]:
    found = [
        quantile(f"{name}_{word}", samples[name], share, "s")
        for name in ("ttft", "itl", "e2e")
        for word, share in _QUANTILES
    ]
    return (*found, mean("tpot_mean", samples["tpot"], "s", "lower"))
