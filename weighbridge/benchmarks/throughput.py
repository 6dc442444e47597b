"""`throughput`: tokens a second of many parallel requests: all tokens divided by the whole time.

A local model gets batches of `batch_sizes` prompts of `prompt_tokens`, each answered with exactly `output_tokens`,
including the prefill. An endpoint gets requests at random times (Poisson) at each of `request_rates` a second. The
tokens are those that the service counts, and the time is from the first request to the last answer; a request counts
from its arrival.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

from weighbridge.benchmarks.fixed_requests import Request, asking, ended_early
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.prompts import random_tokens
from weighbridge.benchmarks.statistics import quantile, rate, spread
from weighbridge.domain.result import Metric
from weighbridge.errors import Cancelled, OutOfMemory
from weighbridge.handlers.interface import Handler

#: The default number of batches of each size, and of requests of each rate.
BATCHES, REQUESTS = 6, 30
_MAX_SIDE_BY_SIDE = 256
_UNCOUNTED = "the service does not report the tokens of its answers"


@dataclass
class _Found:
    """The measured values, one batch size or rate after the other."""

    metrics: list[Metric] = field(default_factory=list)
    samples: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, where: str, *notes: str) -> None:
        """Add notes on what may have disturbed the numbers, except empty ones."""
        self.notes += [f"{where}: {note}" for note in notes if note]


class Throughput:
    """See the module."""

    name: ClassVar[str] = "throughput"
    definition: ClassVar[str] = "throughput/2"
    capability: ClassVar[str] = "chat-completion"
    methods: ClassVar[tuple[str, ...]] = ("complete", "stream")
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure every batch size, or every rate; a size that does not fit into the memory ends the list.

        Raises:
            HandlerError: the handler is not suitable, or fails.
            Cancelled: `cancel_event` was set.
        """
        found = _Found()
        if hasattr(handler, "complete"):
            _batches(handler, settings, cancel_event, found)
            load_shape: dict[str, Any] = {"n": settings.n or BATCHES, "batch_sizes": list(settings.batch_sizes)}
        else:
            for of_second in settings.request_rates:
                _arrivals(asking(handler, settings).ask, of_second, settings, cancel_event, found)
            load_shape = {"n": settings.n or REQUESTS, "request_rates": list(settings.request_rates)}
        chosen = load_shape | {
            "prompt_tokens": settings.prompt_tokens,
            "output_tokens": settings.output_tokens,
            "seed": settings.seed,
            "sampling": "greedy",
        }
        return Measured(tuple(found.metrics), chosen, found.samples, "; ".join(found.notes))


def _batches(handler: Any, settings: BenchmarkSettings, cancel_event: threading.Event, found: _Found) -> None:
    full = ""
    for size in settings.batch_sizes:
        name, tokens = f"output_tokens_per_second_batch_{size}", float(size * settings.output_tokens)
        times_s: list[float] = []
        try:
            times_s = [] if full else _times(handler, size, settings, cancel_event)
        except OutOfMemory as error:
            full = f"out of memory at batch {size}: {error.problem}"
        if full:
            found.metrics.append(Metric(name, None, "tokens/s", 0, reason=full))
            continue
        found.samples[name] = [tokens / taken_s for taken_s in times_s]
        found.metrics.append(rate(name, [tokens] * len(times_s), times_s, "tokens/s"))
        found.note(f"batch {size}", spread(times_s))


def _times(handler: Any, size: int, settings: BenchmarkSettings, cancel_event: threading.Event) -> list[float]:
    """Return the seconds of each batch, after a warm-up. Raises OutOfMemory, HandlerError, Cancelled."""
    return [_batch(handler, size, number, settings, cancel_event) for number in range((settings.n or BATCHES) + 1)][1:]


def _batch(handler: Any, size: int, number: int, settings: BenchmarkSettings, cancel_event: threading.Event) -> float:
    """Return the seconds of a batch. Raises OutOfMemory, HandlerError, Cancelled."""
    if cancel_event.is_set():
        raise Cancelled("The benchmark was cancelled.")
    seeds = range(settings.seed + number * size, settings.seed + (number + 1) * size)
    prompts = [random_tokens(handler, settings.prompt_tokens, seed) for seed in seeds]
    length, start = settings.output_tokens, time.perf_counter()
    handler.complete(prompts, max_new_tokens=length, min_new_tokens=length)
    return time.perf_counter() - start


@dataclass(frozen=True)
class _Answered:
    """A request: the seconds of its arrival and of its complete answer, and its tokens where they are known."""

    arrived_s: float
    done_s: float
    tokens: int | None


def _arrivals(
    ask: Request, of_second: float, settings: BenchmarkSettings, cancel_event: threading.Event, found: _Found
) -> None:
    word = f"rate_{of_second:g}"
    done = list(_answers(ask, of_second, settings, cancel_event))
    passed_s = max(one.done_s for one in done) - min(one.arrived_s for one in done)
    times_s = [one.done_s - one.arrived_s for one in done]
    counts = [one.tokens for one in done]
    known = [tokens for tokens in counts if tokens is not None]
    uncounted = "" if len(known) == len(done) else _UNCOUNTED
    tokens_a_second = None if uncounted else sum(known) / passed_s
    found.samples[f"e2e_{word}"] = times_s
    found.samples[f"tokens_{word}"] = [float(tokens) for tokens in known]
    found.metrics += [
        Metric(f"output_tokens_per_second_{word}", tokens_a_second, "tokens/s", len(done), reason=uncounted),
        Metric(f"requests_per_second_{word}", len(done) / passed_s, "requests/s", len(done)),
        quantile(f"e2e_p50_{word}", times_s, 0.5, "s"),
        quantile(f"e2e_p99_{word}", times_s, 0.99, "s"),
    ]
    found.note(f"{of_second:g} requests a second", ended_early(counts, settings.output_tokens))


def _answers(
    ask: Request, of_second: float, settings: BenchmarkSettings, cancel_event: threading.Event
) -> Iterator[_Answered]:
    """Yield the result of each request; a request is sent on its arrival, without waiting for other answers."""

    def answered(seed: int, arrived_s: float) -> _Answered:
        tokens = ask(seed, lambda: None)
        return _Answered(arrived_s, time.perf_counter(), tokens)

    dice = random.Random(settings.seed)  # noqa: S311 (a benchmark, not a secret)
    with ThreadPoolExecutor(_MAX_SIDE_BY_SIDE) as pool:
        waiting = []
        for number in range(settings.n or REQUESTS):
            if cancel_event.wait(dice.expovariate(of_second)):
                raise Cancelled("The benchmark was cancelled.")
            waiting.append(pool.submit(answered, settings.seed + number, time.perf_counter()))
        yield from (request.result() for request in waiting)
