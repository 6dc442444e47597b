"""A benchmark in a separate process: a model that crashes, hangs or exhausts the memory is a result, not our end.

`run_in_child` starts `python -m weighbridge.benchmarks.child` and reads its result. When the work is cancelled or takes
too long the whole process group is killed, so that nothing stays on a GPU. A failure because of the machine, the
network, a file or a setting is marked as a failure of the run: it is not a property of the model.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.hardware import ProcessorTimes, busy, hardware, load_per_core, software
from weighbridge.benchmarks.interface import Benchmark, BenchmarkSettings, GradedBenchmark, Measured
from weighbridge.domain.result import OF_MEMORY, OF_MODEL, OF_RUN, BenchmarkResult
from weighbridge.errors import (
    Cancelled,
    HandlerError,
    InvalidConfiguration,
    InvalidRequest,
    OutOfMemory,
    WeighbridgeError,
)
from weighbridge.handlers import child_process
from weighbridge.handlers.interface import Handler
from weighbridge.handlers.loading import choose_device, opened

#: The benchmark that needs the model in the state of every later load.
MEMORY = "memory"
#: Settings with the address of a judge: neither the model's process nor a result has them, as people write secrets
#: there by mistake.
_JUDGE: dict[str, Any] = {"judge_url": "", "judge_key_env": "", "judge_addresses": None}
#: The data set with reference answers, whose place no model's process gets.
_REFERENCES = "mt_bench"
#: Options of handlers that change no number, or that a result has elsewhere.
_NO_CHOICE = frozenset(
    {
        "name",
        "generation_defaults",
        "converted",
        "matryoshka",
        "dtype",
        "trust_remote_code",
        "allow_pickle",
        "owned_by",
        "timeout_s",
        "image_folder",
        "image_hosts",
        "supports_structured_outputs",
        "upstream_base_url",
        "upstream_api_key_env",
        "max_duration_s",
    }
)


@dataclass(frozen=True)
class Work:
    """One benchmark of one model.

    Attributes:
        benchmark: a name of `BENCHMARKS`.
        handler: the path of the handler's class.
        model: the folder of the model, or its name at an endpoint.
        manifest_digest: that of the version.
        device: `auto`, `cpu`, `cuda`, …
        options: those of the handler: `name`, `pooling`, `upstream_base_url`, …
        settings: those of the benchmark.
        only_load: load the model, and measure nothing.
        material: that of a benchmark with grades, which another process gives.
    """

    benchmark: str
    handler: str
    model: str
    manifest_digest: str
    device: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: BenchmarkSettings = field(default_factory=BenchmarkSettings)
    only_load: bool = False
    material: Any = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Work:
        """Return the work from the JSON of its `dataclasses.asdict`."""
        return cls(**{**value, "settings": BenchmarkSettings(**value["settings"])})


def run_in_child(
    work: Work, clock: Callable[[], datetime], cancel_event: threading.Event | None = None
) -> BenchmarkResult:
    """Run one benchmark and return its result; every error of the model is the result's `failure`.

    Raises:
        InvalidConfiguration: there is no such benchmark or handler, or they do not fit each other.
        Cancelled: `cancel_event` was set; the child has ended.
    """
    started_at, start, load = clock().isoformat(), time.monotonic(), load_per_core()
    # Work that is done once, such as a conversion, must not count as the model's memory.
    if work.benchmark == MEMORY and "upstream_base_url" not in work.options:
        _ask(replace(work, only_load=True), cancel_event)
    answer = _measured(work, cancel_event or threading.Event())
    kind = answer.get("error", "")
    if kind == InvalidConfiguration.__name__:
        raise InvalidConfiguration(answer["problem"], answer["remedy"])
    if kind == Cancelled.__name__:
        raise Cancelled(answer["problem"])
    duration_s = round(time.monotonic() - start, 3)
    if kind:
        return replace(_failure(work, answer), started_at=started_at, duration_s=duration_s)
    result = BenchmarkResult.from_json(answer["result"])
    loads = {"load_before": round(load, 2), "load_after": round(load_per_core(), 2)}
    return replace(result, hardware={**result.hardware, **loads}, started_at=started_at, duration_s=duration_s)


def _measured(work: Work, cancel_event: threading.Event) -> dict[str, Any]:
    """Return the child's answer, with the grades of this process where the benchmark has some."""
    benchmark = _benchmark(work.benchmark)
    if not isinstance(benchmark, GradedBenchmark):
        return _ask(work, cancel_event)
    try:
        with benchmark.grading(work.settings, cancel_event) as grading:
            answer = _ask(replace(work, material=grading.material), cancel_event, grading.hear)
            if "error" in answer:
                return answer
            graded = grading.finish()
    except WeighbridgeError as error:
        return {**child_process.as_json(error), "cause": cause_of(error)}
    result = BenchmarkResult.from_json(answer["result"])
    settings = {**result.settings, **graded.settings}
    return {"result": replace(result, metrics=graded.metrics, settings=settings, samples=graded.samples).to_json()}


def _failure(work: Work, answer: Mapping[str, Any]) -> BenchmarkResult:
    chosen = {name: value for name, value in asdict(work.settings).items() if name not in _JUDGE}
    return BenchmarkResult(
        work.benchmark,
        _benchmark(work.benchmark).definition,
        work.manifest_digest,
        (),
        {**_loaded_as(work), **chosen},
        answer.get("hardware") or hardware(_device(work)),
        software(),
        failure=f"{answer['problem']} {answer['remedy']}".strip(),
        cause=answer["cause"],
    )


def _device(work: Work) -> str:
    return "cpu" if "upstream_base_url" in work.options else choose_device(work.device)


def _benchmark(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise InvalidConfiguration(f"There is no benchmark “{name}”.", f"Known ones: {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]()


def _ask(
    work: Work, cancel_event: threading.Event | None, hear: child_process.Tell = child_process.unheard
) -> dict[str, Any]:
    # `evaluate` would download metrics as code and run them.
    environment = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_EVALUATE_OFFLINE": "1"}
    if work.settings.endpoint:
        environment["HF_ENDPOINT"] = work.settings.endpoint
    answer = child_process.ask(
        "weighbridge.benchmarks.child",
        asdict(replace(work, settings=_without_secrets(work.settings))),
        timeout_s=work.settings.timeout_s,
        cancel_event=cancel_event,
        environment=environment,
        keys=(work.options.get("upstream_api_key_env", ""),),
        hear=hear,
    )
    if answer.value is not None:
        return answer.value
    # A timeout may be due to a busy machine, or too short a limit.
    cause = "" if answer.late else OF_MODEL
    return {"error": HandlerError.__name__, "problem": answer.failure, "remedy": "", "cause": cause}


def _without_secrets(settings: BenchmarkSettings) -> BenchmarkSettings:
    """Return what a model's process gets of the settings: neither the judge nor the place of the right answers."""
    data = {name: place for name, place in settings.data.items() if name != _REFERENCES}
    return replace(settings, **_JUDGE, data=data)


def _run(work: Work, tell: child_process.Tell) -> dict[str, Any]:
    """Load the model and measure, in the child."""
    benchmark = BENCHMARKS[work.benchmark]()
    facts: dict[str, Any] = {}
    try:
        device = _device(work)
        facts = hardware(device)
        with opened(work.handler, work.model, device=device, **work.options) as handler:
            if work.only_load:
                return {}
            _refuse_misfit(handler, benchmark.capability, work)
            before = ProcessorTimes.now()
            measured = _worked(benchmark, handler, work, tell)
            others = before.share_of_others(ProcessorTimes.now())
            dtype = _dtype(handler)
    except WeighbridgeError as error:
        return {**child_process.as_json(error), "cause": cause_of(error), "hardware": facts}
    facts |= {"threads": _threads(), "used_by_others": round(others, 3)}
    elsewhere = "upstream_base_url" in work.options
    notes = (measured.noisy, "" if elsewhere else busy(others))
    result = BenchmarkResult(
        work.benchmark,
        benchmark.definition,
        work.manifest_digest,
        measured.metrics,
        {**_loaded_as(work), **measured.settings, "device": device, "dtype": dtype},
        {**facts, "endpoint": str(handler.device)} if elsewhere else facts,
        software(),
        noisy="; ".join(filter(None, notes)),
        samples=measured.samples,
    )
    return {"result": result.to_json()}


def _worked(benchmark: Benchmark, handler: Handler, work: Work, tell: child_process.Tell) -> Measured:
    if isinstance(benchmark, GradedBenchmark):
        return benchmark.answer(handler, work.settings, work.material, tell, threading.Event())
    return benchmark.run(handler, work.settings, threading.Event())


def cause_of(error: WeighbridgeError) -> str:
    """Return the cause of a failure: the model, its memory at these settings, or the run."""
    if isinstance(error, OutOfMemory):
        return OF_MEMORY
    transient = error.retryable or error.facts.get("transient")
    ours = isinstance(error, HandlerError) and not isinstance(error, InvalidRequest) and not transient
    return OF_MODEL if ours else OF_RUN


def _threads() -> int | None:
    """Return how many threads torch computes with; None where it is not loaded."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch is not None else None


def _loaded_as(work: Work) -> dict[str, Any]:
    """Return the class that loaded the model and its options, as another pooling gives other numbers."""
    options = {name: value for name, value in work.options.items() if name not in _NO_CHOICE}
    return {"handler": work.handler, **({"options": options} if options else {})}


def _refuse_misfit(handler: Handler, capability: str, work: Work) -> None:
    if capability not in handler.capabilities:
        raise InvalidConfiguration(
            f"{work.benchmark} measures {capability}, and {handler.name} does {', '.join(handler.capabilities)}.",
            "Choose another benchmark, or the handler for this task.",
        )


def _dtype(handler: Handler) -> str:
    dtype = getattr(getattr(handler, "model", None), "dtype", None)
    return str(dtype).removeprefix("torch.") if dtype is not None else ""


if __name__ == "__main__":
    child_process.answer_stdin(lambda question, tell: _run(Work.from_json(question), tell))
