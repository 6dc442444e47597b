"""What a benchmark is: a versioned definition that measures one handler and returns results. Adapters lie beside.

Values only, and no heavy package: results are read where torch is not installed. Not here: statistics of samples
(statistics), what machine it was (hardware), keeping results (catalog), ranking them (benchmarks.leaderboard).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from weighbridge.domain.result import Metric
from weighbridge.errors import InvalidConfiguration
from weighbridge.handlers.interface import Handler
from weighbridge.net.addresses import AddressPolicy

#: Endings of files that `data` may name as tasks of lm-eval: what code they name is run.
TASK_FILES = (".yaml", ".yml")


@dataclass(frozen=True)
class BenchmarkSettings:
    """What a user chooses for a run; a benchmark ignores what is not its own.

    Attributes:
        n: samples; 0 for the benchmark's own number.
        warmups: runs before the first sample.
        prompt_tokens: length of each prompt.
        output_tokens: tokens generated for each.
        batch_sizes: prompts at once, for throughput.
        request_rates: requests per second, for endpoints.
        limit: documents a task, for lm-eval; 0 for all.
        shots: examples before each document, for lm-eval; None for the task's own number.
        tasks: lm-eval tasks, by name.
        seed: of everything random.
        data: files and folders instead of data sets of the Hub, by the name of what they are for.
        endpoint: the Hub that data sets come from, or empty for the configured one.
        judge_url, judge_model, judge_key_env: an OpenAI-compatible endpoint that judges, for mt_bench.
        judge_addresses: where that endpoint may lie; anywhere when None.
        answer_tokens: length of each answer at most, for mt_bench.
        timeout_s: for the whole run.

    Raises:
        InvalidConfiguration: a number is below the least that means something.
    """

    n: int = 0
    warmups: int = 10
    prompt_tokens: int = 128
    output_tokens: int = 64
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8)
    request_rates: tuple[float, ...] = (1.0, 2.0, 4.0)
    limit: int = 0
    shots: int | None = None
    tasks: tuple[str, ...] = ()
    seed: int = 0
    data: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    judge_url: str = ""
    judge_model: str = ""
    judge_key_env: str = ""
    judge_addresses: AddressPolicy | None = None
    answer_tokens: int = 1024
    timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            given = getattr(self, name)
            for number in given if isinstance(given, tuple) else (given,):
                if not number >= least:
                    raise InvalidConfiguration(f"{name} is {number}.", f"Give at least {least}.", name=name)
        if not self.batch_sizes or not self.request_rates:
            raise InvalidConfiguration(
                "batch_sizes and request_rates hold one number at least.", "Give one, or leave them out."
            )


#: The least number that means something, of each setting that is one or has some.
_LEAST: Mapping[str, float] = {
    "n": 0,
    "warmups": 0,
    "prompt_tokens": 1,
    "output_tokens": 2,
    "batch_sizes": 1,
    "request_rates": 0.001,
    "limit": 0,
    "answer_tokens": 1,
    "timeout_s": 1,
}


@dataclass(frozen=True)
class Measured:
    """What a benchmark's own code returns; who calls it adds hardware, software and the model's digest."""

    metrics: tuple[Metric, ...]
    settings: Mapping[str, Any]
    samples: Mapping[str, list[float]] = field(default_factory=dict, repr=False)
    noisy: str = ""


class Benchmark(Protocol):
    """A versioned way to measure handlers with a capability.

    Attributes:
        name: as people call it.
        definition: its name and version.
        capability: that a handler must have.
        methods: of which a handler must have one besides those of the capability; empty where these are enough.
        attributes: which a handler must have, all of them, for a benchmark that looks into the model itself.
    """

    name: ClassVar[str]
    definition: ClassVar[str]
    capability: ClassVar[str]
    methods: ClassVar[tuple[str, ...]]
    attributes: ClassVar[tuple[str, ...]]

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure.

        Raises:
            BenchmarkFailed: something that it needs is missing; this is no property of the model.
            HandlerError: the model cannot be measured, with the reason that the result keeps.
            Cancelled: `cancel_event` was set.
        """
        ...
