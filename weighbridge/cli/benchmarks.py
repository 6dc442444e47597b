"""The commands that use models: `weighbridge preload | try | benchmark`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from rich.table import Table

from weighbridge.benchmarks.offered_settings import taking
from weighbridge.cli import benchmark_options as options
from weighbridge.cli.console import (
    AsJSON,
    AsJSONList,
    ModelsOption,
    NameArgument,
    OnlyOption,
    above_bars,
    bars,
    examples,
    out,
    say,
)
from weighbridge.cli.runners import direct_runner
from weighbridge.config.settings import Settings
from weighbridge.domain.progress import one_of
from weighbridge.domain.request import MODELS_FILE
from weighbridge.domain.result import BenchmarkResult
from weighbridge.handlers.trial import Reply, try_model
from weighbridge.intake import chain
from weighbridge.intake.job import Job
from weighbridge.intake.measuring import MeasureRequest, measure
from weighbridge.intake.preloading import PreloadRequest, preload
from weighbridge.intake.trying import laid_out_trial
from weighbridge.intake.workspace import open_workspace
from weighbridge.views.results import result_table


class Timestamps(StrEnum):
    """The parts of a transcript that are shown with their times."""

    word = "word"
    segment = "segment"


class EncodingFormat(StrEnum):
    """The ways in which a vector is printed."""

    float = "float"
    base64 = "base64"


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("preload", epilog=examples("weighbridge preload --only smollm2-135m-instruct"))(_preload)
    example = examples('weighbridge try smollm2-135m-instruct "What is the capital of France?"')
    app.command("try", epilog=example)(_try)
    example = examples("weighbridge benchmark smollm2-135m-instruct -b inference_latency -n 5")
    app.command("benchmark", epilog=example)(_benchmark)


def _preload(
    models: ModelsOption = Path(MODELS_FILE),
    only: OnlyOption = "",
    download: Annotated[
        bool, typer.Option("--download/--no-download", envvar="AUTO_DOWNLOAD_MODELS", help="Take in what is missing.")
    ] = True,
    json_: AsJSONList = False,
) -> None:
    """Put the models that MODELS names, passed by the gate, into the Hugging Face cache (HF_HOME)."""
    request = PreloadRequest(only, str(models), download)
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace, direct_runner() as runner:
        done = preload(request, workspace, lambda one: chain.ingest(Job.of(one, workspace), runner).version)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header in ("model", "version", "load as", "folder"):
        table.add_column(header, overflow="fold")
    for one in done:
        table.add_row(one.name, one.version, one.repo_id, str(one.path))
    say("preload", [one.to_json() for one in done], lambda: out.print(table, crop=False), json_)


def _try(
    name: NameArgument,
    text: Annotated[str, typer.Argument(help="A prompt, a text to embed, or a query.")] = "",
    document: Annotated[list[str] | None, typer.Option(help="A document to rank by the query; repeated.")] = None,
    sound: Annotated[Path | None, typer.Option(help="A sound file to transcribe.")] = None,
    language: Annotated[str, typer.Option(help="Language of the speech: en, de; the model finds out by default.")] = "",
    translate: Annotated[bool, typer.Option("--translate", help="Translate speech to English.")] = False,
    timestamps: Annotated[
        Timestamps | None, typer.Option(help="The times of a transcript's words or segments.")
    ] = None,
    image: Annotated[list[Path] | None, typer.Option(help="An image that the prompt is about; repeated.")] = None,
    handler: options.Handler = "",
    device: options.Device = "auto",
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of an answer at most; models.yaml's, or 128.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="0 for the likeliest answer; models.yaml's, or 0.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of the likeliest tokens; models.yaml's, or 1.")
    ] = None,
    dimensions: Annotated[
        int | None, typer.Option(min=1, help="Numbers of a vector; as many as the model makes by default.")
    ] = None,
    encoding_format: Annotated[
        EncodingFormat | None, typer.Option(help="How a vector is printed: numbers, or base64 of float32.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which it is ended.")] = 600.0,
    models: ModelsOption = Path(MODELS_FILE),
    json_: AsJSON = False,
) -> None:
    """Load a model through its handler and let it answer a prompt, a text, a sound file, or a question about images."""
    chosen: dict[str, Any] = {
        "text": text,
        "documents": tuple(document or ()),
        "sound": str(sound.absolute()) if sound else "",
        "images": tuple(str(path.absolute()) for path in image or ()),
        "device": device,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "language": language,
        "translate": translate,
        "timestamps": timestamps or "",
        "dimensions": dimensions,
        "encoding_format": encoding_format or "",
    }
    with (
        bars(json_) as shown,
        open_workspace(Settings(), progress=shown) as workspace,
        laid_out_trial(name, str(models), handler, chosen, workspace) as trial,
        one_of(shown, "answer", "answers", trial.handler.rpartition(".")[2]),
        _Streamed() as streamed,
    ):
        answer = try_model(trial, timeout, streamed.add if out.is_terminal and not json_ else None)
    if not streamed.begun:
        say("answer", {"answer": answer.value}, lambda: _print_reply(answer), json_)


class _Streamed:
    """Prints a response on the terminal while it is generated, in place of the progress bars."""

    def __init__(self) -> None:
        #: Whether any piece was printed.
        self.begun = False
        self._terminal = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.begun:
            out.out()
        self._terminal.close()

    def add(self, piece: str) -> None:
        """Print the next piece unchanged."""
        if not self.begun:
            self.begun = True
            self._terminal.enter_context(above_bars())
        out.out(piece, end="", highlight=False)


def _print_reply(reply: Reply) -> None:
    """Print a response unchanged; numbers and lists are printed as JSON for a program."""
    if out.is_terminal:
        out.out(reply.text, highlight=False)
    else:
        print(reply.value if isinstance(reply.value, str) else json.dumps(reply.value))  # noqa: T201 (for a program)


@taking(options.SETTINGS, options.as_option, before="models")
def _benchmark(
    name: NameArgument,
    benchmarks: options.Benchmarks = None,
    handler: options.Handler = "",
    device: options.Device = "auto",
    models: ModelsOption = Path(MODELS_FILE),
    json_: AsJSONList = False,
    **given: Any,
) -> None:
    """Measure a version that passed: how fast it is, what it takes, and how good it is."""
    data = tuple(given.pop("data"))
    request = MeasureRequest(name, tuple(benchmarks or ()), handler, device, str(models), data, given)
    show = (lambda _result: None) if json_ else _print_result
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace:
        results = measure(request, workspace, show)
    say("result", [result.to_json() for result in results], lambda: None, json_)
    if any(result.failure for result in results):
        raise typer.Exit(1)


def _print_result(result: BenchmarkResult) -> None:
    with above_bars():
        out.print(result_table(result), crop=False)
