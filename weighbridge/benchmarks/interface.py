"""The interface of a benchmark, a versioned definition that measures one handler and returns results.

The adapters are beside this file. It has only values and imports no heavy package: results are read where torch is not
installed. Not here: statistics of samples (statistics), facts of the machine (hardware), storing results (catalog),
ranking them (benchmarks.leaderboard).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Protocol, Self, runtime_checkable

from pydantic import BeforeValidator, Field, InstanceOf, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.dataclasses import dataclass as validated_dataclass
from pydantic.json_schema import SkipJsonSchema

from weighbridge.domain.result import Metric
from weighbridge.errors import InvalidConfiguration
from weighbridge.handlers.child_process import Tell
from weighbridge.handlers.interface import Handler
from weighbridge.net.addresses import AddressPolicy

#: The suffixes of files that `data` may name as tasks of lm-eval; the code that they name is run.
TASK_FILES = (".yaml", ".yml")


def _chosen(description: str, **limits: Any) -> Any:
    """Return the metadata of a field: its sentence, its limits, and the command's flag where it is special."""
    flag = limits.pop("flag", "")
    return Field(description=description, json_schema_extra={"flag": flag} if flag else None, **limits)


@validated_dataclass(frozen=True)
class BenchmarkSettings:
    """The settings of a run; a benchmark ignores those of others.

    A new setting needs only a field: commands and flows offer each of them (benchmarks.offered_settings) except
    `judge_addresses`, which says where the judge may be; anywhere when None. `shots` may be given as -1 for None.

    Raises:
        InvalidConfiguration: a number is below its least value.
    """

    n: Annotated[int, _chosen("Samples of each benchmark; 0 for its own number.", ge=0, flag="-n")] = 0
    warmups: Annotated[int, _chosen("Runs before the first sample.", ge=0)] = 10
    prompt_tokens: Annotated[int, _chosen("Length of each prompt.", ge=1)] = 128
    output_tokens: Annotated[int, _chosen("Tokens of each answer.", ge=2)] = 64
    batch_sizes: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        _chosen("Prompts at once, for throughput; the largest counts for lm-eval.", min_length=1, flag="--batch-size"),
    ] = (1, 2, 4, 8)
    request_rates: Annotated[
        tuple[Annotated[float, Field(ge=0.001)], ...],
        _chosen("Requests a second, for throughput at an endpoint.", min_length=1, flag="--request-rate"),
    ] = (1.0, 2.0, 4.0)
    limit: Annotated[int, _chosen("Documents of each lm-eval task; 0 for all.", ge=0)] = 0
    shots: Annotated[
        Annotated[int, Field(ge=0)] | None,
        BeforeValidator(lambda given: None if given == -1 else given),
        _chosen("Examples before each document of an lm-eval task; the task's own number by default."),
    ] = None
    seed: Annotated[int, _chosen("Of everything random.")] = 0
    tasks: Annotated[
        tuple[str, ...],
        _chosen("Tasks of lm-eval, for lm_eval, or subjects, for mmlu (mmlu_anatomy).", flag="--task"),
    ] = ()
    data: Annotated[Mapping[str, str], _chosen("NAME=PATH, a file or folder instead of a data set of the Hub.")] = (
        field(default_factory=dict)
    )
    endpoint: Annotated[str, _chosen("Hub that data sets come from; the configured one by default.")] = ""
    judge_url: Annotated[str, _chosen("OpenAI-compatible endpoint that judges, for mt_bench.")] = ""
    judge_model: Annotated[str, _chosen("The judge's name there.")] = ""
    judge_key_env: Annotated[str, _chosen("Environment variable that holds the judge's key.")] = ""
    judge_addresses: SkipJsonSchema[InstanceOf[AddressPolicy] | None] = None
    answer_tokens: Annotated[int, _chosen("Tokens of each answer at most, for mt_bench.", ge=1)] = 1024
    timeout_s: Annotated[float, _chosen("Seconds for each benchmark.", ge=1, flag="--timeout")] = 3600.0

    @model_validator(mode="wrap")
    @classmethod
    def _told(cls, values: Any, validated: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validated(values)
        except ValidationError as error:
            first = error.errors()[0]
            name, given = str(first["loc"][0]), first["input"]
            wrong, remedy = f"{name} is {given}.", f"{first['msg']}."
            if first["type"] == "greater_than_equal":
                remedy = f"Set at least {first['ctx']['ge']:g}."
            elif first["type"] == "too_short":
                wrong, remedy = f"{name} needs at least one number.", "Set one, or leave it out."
            raise InvalidConfiguration(wrong, remedy, name=name) from error


@dataclass(frozen=True)
class Measured:
    """The result of a benchmark's own code; its caller adds hardware, software and the model's digest."""

    metrics: tuple[Metric, ...]
    settings: Mapping[str, Any]
    samples: Mapping[str, list[float]] = field(default_factory=dict, repr=False)
    noisy: str = ""


class Referee(Protocol):
    """The part of a benchmark that works in the process that asks for it; a context."""

    @property
    def material(self) -> Any:
        """What the model's process gets for its part, as plain JSON."""
        ...

    def hear(self, told: Any) -> None:
        """Take in what the model's process tells. Raises as `Benchmark.run`."""
        ...

    def finish(self) -> Measured:
        """Return the numbers, once the model's process is done. Raises as `Benchmark.run`."""
        ...


class Benchmark(Protocol):
    """A versioned way to measure handlers with a capability.

    Attributes:
        name: its name for users.
        definition: its name and version.
        capability: the capability that a handler must have.
        methods: a handler must have one of them besides those of the capability; empty where these are enough.
        attributes: a handler must have all of them, for a benchmark that reads the model itself.
    """

    name: ClassVar[str]
    definition: ClassVar[str]
    capability: ClassVar[str]
    methods: ClassVar[tuple[str, ...]]
    attributes: ClassVar[tuple[str, ...]]

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure and return the result.

        Raises:
            BenchmarkFailed: something that it needs is missing; this is not a property of the model.
            HandlerError: the model cannot be measured, with the reason that the result keeps.
            Cancelled: `cancel_event` was set.
        """
        ...


@runtime_checkable
class GradedBenchmark(Benchmark, Protocol):
    """A benchmark with a secret, such as a judge's key, which a model's own code must not find in its process."""

    def grading(self, settings: BenchmarkSettings, cancel_event: threading.Event) -> AbstractContextManager[Referee]:
        """Return the part that works in the process that asks for it. Raises as `run`."""
        ...

    def answer(
        self, handler: Handler, settings: BenchmarkSettings, material: Any, tell: Tell, cancel_event: threading.Event
    ) -> Measured:
        """Do the model's part, in the model's process. Raises as `run`."""
        ...
