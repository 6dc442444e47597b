"""What a benchmark is: a versioned definition that measures one handler and returns results. Adapters lie beside.

Values only, and no heavy package: results are read where torch is not installed. Not here: statistics of samples
(statistics), what machine it was (hardware), keeping results (catalog), ranking them (leaderboard).
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, ClassVar, Protocol

from weighbridge.errors import InvalidConfiguration
from weighbridge.handlers.interface import Handler
from weighbridge.net.addresses import AddressPolicy

#: Instead of a value that too few samples, or a failure, leave without meaning.
INSUFFICIENT = "insufficient samples"
NOT_FINITE = "not a finite number"

#: Endings of files that `data` may name as tasks of lm-eval: what code they name is run.
TASK_FILES = (".yaml", ".yml")

#: Facts of `hardware` and names of `software` that change numbers.
_MACHINE = ("processor", "cores", "gpu", "gpu_count", "endpoint")
_LIBRARIES = ("torch", "transformers", "lm_eval")
#: Settings that change no number: how often it was measured, and which of several equal devices did it.
_INDIFFERENT = ("n", "device")


@dataclass(frozen=True)
class Interval:
    """A confidence interval of `level` (0.95), in the unit of its metric."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class Metric:
    """One number of a run.

    Attributes:
        name: such as `ttft_p50`, `output_tokens_per_second`, `accuracy`.
        value: None where `reason` says why there is none.
        unit: `s`, `tokens/s`, `bytes`, `1` for shares.
        n: samples behind it.
        interval: of the value, or None where none can be given.
        reason: `insufficient samples`, `out of memory: …`, or empty.
        better: whether a `higher` or a `lower` value is better.
    """

    name: str
    value: float | None
    unit: str
    n: int
    interval: Interval | None = None
    reason: str = ""
    better: str = "higher"

    def finite(self) -> Metric:
        """Return itself, without what is NaN or infinite: such a value is none, and such an interval tells nothing."""
        if self.value is not None and not math.isfinite(self.value):
            return replace(self, value=None, interval=None, reason=self.reason or NOT_FINITE)
        bounds = (self.interval.low, self.interval.high) if self.interval else ()
        return self if all(math.isfinite(bound) for bound in bounds) else replace(self, interval=None)


@dataclass(frozen=True)
class BenchmarkResult:
    """What one benchmark found of one model on one machine; two are comparable only when `comparable_key` is equal.

    Attributes:
        benchmark: `inference_latency`, `mmlu`, …
        definition: version of what it measures and how, such as `inference_latency/1`.
        manifest_digest: of the model's version.
        metrics: the numbers.
        settings: everything that was chosen: lengths, batch sizes, dtype, device, seed, limit, judge, prompt version.
        hardware: device name, count, memory, driver, processor, cores, load average before and after.
        software: versions of Weighbridge and of the libraries that ran it.
        noisy: why the numbers may be disturbed, or empty.
        failure: why there are no numbers, or empty; a failed run is a result too.
        started_at: ISO 8601, UTC.
        duration_s: of the whole run.
        samples: raw samples by name, in the order in which they were taken.
    """

    benchmark: str
    definition: str
    manifest_digest: str
    metrics: tuple[Metric, ...]
    settings: Mapping[str, Any]
    hardware: Mapping[str, Any]
    software: Mapping[str, str]
    noisy: str = ""
    failure: str = ""
    started_at: str = ""
    duration_s: float = 0.0
    samples: Mapping[str, list[float]] = field(default_factory=dict, repr=False)

    @property
    def comparable_key(self) -> str:
        """One word for everything that must be equal for two results to be ranked against each other.

        That is the benchmark and its definition; what was chosen, but for the number of samples; the kind of device,
        processor, cores, GPU, number of GPUs, and endpoint; and torch, transformers and lm_eval to their second
        number. The driver and later numbers are kept in the result and make no difference here (docs/benchmarks.md).
        """
        settings = {name: value for name, value in self.settings.items() if name not in _INDIFFERENT}
        kind = str(self.hardware.get("device", "")).partition(":")[0]
        machine = {"device": kind, **{name: self.hardware.get(name) for name in _MACHINE}}
        libraries = {name: ".".join(self.software.get(name, "").split(".")[:2]) for name in _LIBRARIES}
        facts = [self.benchmark, self.definition, _plain(settings), _plain(machine), libraries]
        return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def machine(self) -> str:
        """What it ran on, for a person; empty where a crash left no facts."""
        gpu, count = self.hardware.get("gpu"), self.hardware.get("gpu_count", 1)
        if self.hardware.get("endpoint"):
            return str(self.hardware["endpoint"])
        if gpu:
            return f"{gpu} (of {count})" if count != 1 else str(gpu)
        return str(self.hardware.get("processor") or "")

    def metric(self, name: str) -> Metric | None:
        """Return a metric by its name, or None."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, samples included; what is NaN or infinite becomes null, with the metric's reason."""
        plain: dict[str, Any] = _plain(asdict(replace(self, metrics=tuple(metric.finite() for metric in self.metrics))))
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BenchmarkResult:
        """Read what `to_json` wrote; a sample that is null was NaN or infinite."""
        metrics = tuple(
            Metric(**{**metric, "interval": Interval(**metric["interval"]) if metric["interval"] else None})
            for metric in value["metrics"]
        )
        samples = {
            name: [math.nan if sample is None else sample for sample in found]
            for name, found in value["samples"].items()
        }
        return cls(**{**value, "metrics": metrics, "samples": samples})


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, so that it is the same before and after it was stored."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
    """A versioned way to measure handlers with a capability."""

    name: ClassVar[str]
    definition: ClassVar[str]
    capability: ClassVar[str]

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure.

        Raises:
            BenchmarkFailed: it cannot be measured, with the reason that the result keeps.
            Cancelled: `cancel_event` was set.
        """
        ...
