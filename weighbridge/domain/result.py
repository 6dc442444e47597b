"""The result of a benchmark: its metrics with intervals, and the settings and machine they hold for. Values only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

#: Instead of a value that too few samples, or a failure, leave without meaning.
INSUFFICIENT = "insufficient samples"


NOT_FINITE = "not a finite number"

#: What caused a failure: the model; the model at these settings on this machine, whose memory was too small; or the
#: run, such as a missing file, package or service, which is no statement about the model.
OF_MODEL, OF_MEMORY, OF_RUN = "model", "memory", "run"

#: Facts of `hardware` and names of `software` that change numbers.
_MACHINE = ("processor", "cores", "threads", "gpu", "gpu_count", "endpoint")


_LIBRARIES = ("torch", "transformers", "lm_eval")


#: Settings in which comparable results may differ: how often it was measured, which of several equal devices did it,
#: and what the model's own files say.
_INDIFFERENT = ("n", "device", "generation_config")


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
        """Return the metric without a NaN or infinite value or interval, since neither means anything."""
        if self.value is not None and not math.isfinite(self.value):
            return replace(self, value=None, interval=None, reason=self.reason or NOT_FINITE)
        bounds = (self.interval.low, self.interval.high) if self.interval else ()
        return self if all(math.isfinite(bound) for bound in bounds) else replace(self, interval=None)


@dataclass(frozen=True)
class BenchmarkResult:
    """The result of one benchmark for one model on one machine; two are comparable only with equal `comparable_key`.

    Attributes:
        benchmark: `inference_latency`, `mmlu`, …
        definition: version of what it measures and how, such as `inference_latency/1`.
        manifest_digest: of the model's version.
        metrics: the numbers.
        settings: everything that was chosen: lengths, batch sizes, dtype, device, seed, limit, judge, prompt version.
        hardware: device name, count, memory, driver, processor, cores, threads, load average before and after, and the
            share of the processors that other processes took.
        software: versions of Weighbridge and of the libraries that ran it.
        noisy: why the numbers may be disturbed, or empty.
        failure: why there are no numbers, or empty; a failed run is a result too.
        cause: of a failure: OF_MODEL, OF_MEMORY or OF_RUN; empty where it is not known.
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
    cause: str = ""
    started_at: str = ""
    duration_s: float = 0.0
    samples: Mapping[str, list[float]] = field(default_factory=dict, repr=False)

    @cached_property
    def comparable_key(self) -> str:
        """A key of everything that must be equal for two results to be ranked against each other.

        That is the benchmark and its definition; what was chosen, but for the number of samples, and not what the
        model's own files say; the kind of device, processor, the cores and threads that the process may use, memory in
        GiB, GPU, number of GPUs, and endpoint; and torch, transformers and lm_eval to their second number. The driver
        and later numbers are kept in the result and make no difference here (docs/benchmarks.md).
        """
        settings = {name: value for name, value in self.settings.items() if name not in _INDIFFERENT}
        kind = str(self.hardware.get("device", "")).partition(":")[0]
        machine = {"device": kind, **{name: self.hardware.get(name) for name in _MACHINE}}
        machine["memory"] = round(self.hardware.get("memory", 0) / 1024**3)
        libraries = {name: ".".join(self.software.get(name, "").split(".")[:2]) for name in _LIBRARIES}
        facts = [self.benchmark, self.definition, _plain(settings), _plain(machine), libraries]
        return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def machine(self) -> str:
        """The machine it ran on, as text; empty where a crash left no facts."""
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
    """Return a value as plain JSON types, so that it is equal before and after it was stored."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_better(one: Metric, other: Metric) -> bool:
    """Return whether one metric is better than another of the same name beyond both of their intervals."""
    if one.interval is None or other.interval is None:
        return False
    if one.better == "lower":
        return one.interval.high < other.interval.low
    return one.interval.low > other.interval.high
