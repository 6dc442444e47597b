"""`throughput`: tokens a second when many requests are there at once.

Here: batches of `batch_sizes` prompts of `prompt_tokens`, each answered with exactly `output_tokens`, prefill included.
At an endpoint: requests that arrive at random (Poisson) at each of `request_rates` a second; what is counted are the
pieces of the streams and the time from the first request to the last answer.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from weighbridge.benchmarks.hardware import load_per_core
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.latency import noise, requests
from weighbridge.benchmarks.prompts import random_tokens
from weighbridge.benchmarks.statistics import mean, quantile
from weighbridge.domain.result import Metric
from weighbridge.errors import Cancelled, OutOfMemory
from weighbridge.handlers.interface import Handler

#: Batches of each size, and requests of each rate, when nobody says.
BATCHES, REQUESTS = 6, 30
_MAX_SIDE_BY_SIDE = 256


class Throughput:
    """See the module."""

    name: ClassVar[str] = "throughput"
    definition: ClassVar[str] = "throughput/1"
    capability: ClassVar[str] = "chat-completion"

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure every batch size, or every rate; a size that does not fit ends the row with its reason.

        Raises:
            BenchmarkFailed, HandlerError: the handler cannot be asked, or fails.
            Cancelled: `cancel_event` was set.
        """
        load = load_per_core()
        if hasattr(handler, "complete"):
            metrics, samples = _batches(handler, settings, cancel_event)
            load_shape: dict[str, Any] = {"batch_sizes": list(settings.batch_sizes)}
        else:
            metrics, samples = _rates(handler, settings, cancel_event)
            load_shape = {"request_rates": list(settings.request_rates)}
        chosen = load_shape | {
            "n": settings.n,
            "prompt_tokens": settings.prompt_tokens,
            "output_tokens": settings.output_tokens,
            "seed": settings.seed,
            "sampling": "greedy",
        }
        return Measured(tuple(metrics), chosen, samples, noise(load, 0.0))


def _batches(
    handler: Any, settings: BenchmarkSettings, cancel_event: threading.Event
) -> tuple[list[Metric], dict[str, list[float]]]:
    metrics: list[Metric] = []
    samples: dict[str, list[float]] = {}
    length = settings.output_tokens
    for size in settings.batch_sizes:
        name = f"output_tokens_per_second_batch_{size}"
        rates: list[float] = []
        try:
            for number in range(-1, settings.n or BATCHES):
                if cancel_event.is_set():
                    raise Cancelled("The benchmark was cancelled.")
                seeds = range(settings.seed + (number + 1) * size, settings.seed + (number + 2) * size)
                prompts = [random_tokens(handler.tokenizer, settings.prompt_tokens, seed) for seed in seeds]
                start = time.perf_counter()
                handler.complete(prompts, max_new_tokens=length, min_new_tokens=length)
                if number >= 0:
                    rates.append(size * length / (time.perf_counter() - start))
        except OutOfMemory as error:
            metrics.append(Metric(name, None, "tokens/s", len(rates), reason=f"out of memory: {error.problem}"))
            break
        samples[name] = rates
        metrics.append(mean(name, rates, "tokens/s"))
    return metrics, samples


def _rates(
    handler: Any, settings: BenchmarkSettings, cancel_event: threading.Event
) -> tuple[list[Metric], dict[str, list[float]]]:
    ask, _ = requests(handler, settings)
    metrics: list[Metric] = []
    samples: dict[str, list[float]] = {}
    for rate in settings.request_rates:
        dice = random.Random(settings.seed)  # noqa: S311 (a benchmark, no secret)
        count = settings.n or REQUESTS
        word = f"rate_{rate:g}"
        start = time.perf_counter()
        with ThreadPoolExecutor(_MAX_SIDE_BY_SIDE) as pool:
            waiting = []
            for number in range(count):
                if cancel_event.wait(dice.expovariate(rate)):
                    raise Cancelled("The benchmark was cancelled.")
                waiting.append(pool.submit(_request, ask, settings.seed + number))
            done = [request.result() for request in waiting]
        passed = time.perf_counter() - start
        pieces, times = sum(found for found, _ in done), [taken for _, taken in done]
        samples[f"e2e_{word}"] = times
        metrics += [
            Metric(f"output_tokens_per_second_{word}", pieces / passed, "tokens/s", count),
            Metric(f"requests_per_second_{word}", count / passed, "requests/s", count),
            quantile(f"e2e_p50_{word}", times, 0.5, "s"),
            quantile(f"e2e_p99_{word}", times, 0.99, "s"),
        ]
    return metrics, samples


def _request(ask: Any, seed: int) -> tuple[int, float]:
    """Return how many tokens an answer had, and the seconds that it took."""
    pieces: list[None] = []
    start = time.perf_counter()
    ask(seed, lambda: pieces.append(None))
    return len(pieces), time.perf_counter() - start
