"""The commands that use models: `weighbridge preload | try | benchmark`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from rich.table import Table

from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.offered_settings import taking
from weighbridge.benchmarks.planning import OF_ENDPOINTS
from weighbridge.benchmarks.running import BenchmarkRequest, benchmark, benchmark_endpoint, handler_options, laid_out
from weighbridge.cli import benchmark_options as options
from weighbridge.cli.console import (
    DEFAULT_MODELS,
    AsJSON,
    AsJSONList,
    ModelsOption,
    NameArgument,
    OnlyOption,
    above_bars,
    bars,
    direct_runner,
    examples,
    out,
    say,
)
from weighbridge.config.models_file import ModelEntry, read_models
from weighbridge.config.policy_file import load_policy
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import is_variable
from weighbridge.domain.clock import utc_now
from weighbridge.domain.permits import LoadingRules
from weighbridge.domain.progress import Progress, one_of
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import UsageError
from weighbridge.handlers.choosing import handler_of
from weighbridge.handlers.trial import Reply, Trial, try_model
from weighbridge.intake import chain
from weighbridge.intake.job import Job
from weighbridge.intake.lookup import find
from weighbridge.intake.preloading import PreloadRequest, preload
from weighbridge.intake.workspace import open_catalog, open_workspace
from weighbridge.store.local import LocalBlobStore
from weighbridge.views.results import result_table

#: Benchmarks that take tasks.
_TASKED = {"lm_eval", "mmlu"}
#: The benchmark that asks a judge.
_JUDGED = "mt_bench"


class Timestamps(StrEnum):
    """The parts of a transcript that are shown with their times."""

    word = "word"
    segment = "segment"


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("preload", epilog=examples("weighbridge preload --only smollm2-135m-instruct"))(_preload)
    example = examples('weighbridge try smollm2-135m-instruct "What is the capital of France?"')
    app.command("try", epilog=example)(_try)
    example = examples("weighbridge benchmark smollm2-135m-instruct -b inference_latency -n 5")
    app.command("benchmark", epilog=example)(_benchmark)


def _preload(
    models: ModelsOption = DEFAULT_MODELS,
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
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which it is ended.")] = 600.0,
    models: ModelsOption = DEFAULT_MODELS,
    json_: AsJSON = False,
) -> None:
    """Load a model through its handler and let it answer a prompt, a text, a sound file, or a question about images."""
    entry, settings = _entry(models, name), Settings()
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
    }
    handler = handler or (entry.handler if entry else "")
    with (
        bars(json_) as shown,
        _trial(name, entry, handler, chosen, settings, shown) as trial,
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


@contextmanager
def _trial(
    name: str, entry: ModelEntry | None, handler: str, chosen: Mapping[str, Any], settings: Settings, progress: Progress
) -> Iterator[Trial]:
    """Yield the trial of a model, which is in a folder of its own meanwhile, unless it runs on another service."""
    taken = {"name": entry.key if entry else name.partition("@")[0], **handler_options(entry)}
    if entry is not None and entry.skip_download:
        if not handler:
            raise UsageError(f"{entry.key} runs elsewhere and names no handler.", "Name one, such as UpstreamChat.")
        yield Trial(handler, entry.hf_repo_id or entry.key, options=taken, **chosen)
        return
    version = _version(name, entry, settings)
    taken |= _loading(entry, settings).options(version, utc_now().date())
    with laid_out(version, LocalBlobStore(settings.store_folder), progress) as folder:
        yield Trial(handler or handler_of(version.name, version.card), str(folder), options=taken, **chosen)


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
    models: ModelsOption = DEFAULT_MODELS,
    json_: AsJSONList = False,
    **given: Any,
) -> None:
    """Measure a version that passed: how fast it is, what it takes, and how good it is."""
    settings = Settings()
    given["data"] = settings.benchmark_files | dict(_pair(text) for text in given["data"])
    given["endpoint"] = given["endpoint"] or settings.endpoint("huggingface")
    judges = settings.addresses("judge", on_behalf=False) if given["judge_url"] else None
    chosen = BenchmarkSettings(**given, judge_addresses=judges)
    entry = _entry(models, name)
    names = tuple(benchmarks or (entry.benchmarks if entry else ()))
    _check_tasks(chosen, benchmarks or [], names)
    _check_judge(chosen, benchmarks or [], names)
    path = handler or (entry.handler if entry else "")
    request = BenchmarkRequest(names, path, device, handler_options(entry), chosen)
    with bars(json_) as shown:
        results = _kept_results(name, entry, request, settings, None if json_ else _print_result, shown)
    say("result", [result.to_json() for result in results], lambda: None, json_)
    if any(result.failure for result in results):
        raise typer.Exit(1)


def _print_result(result: BenchmarkResult) -> None:
    with above_bars():
        out.print(result_table(result), crop=False)


def _kept_results(
    name: str,
    entry: ModelEntry | None,
    request: BenchmarkRequest,
    settings: Settings,
    show: Callable[[BenchmarkResult], None] | None,
    progress: Progress,
) -> list[BenchmarkResult]:
    """Measure, store each result in the catalog as soon as it is there, and pass it to `show`."""
    with open_catalog(settings) as catalog:

        def keep(result: BenchmarkResult) -> None:
            catalog.add_result(result)
            if show:  # Each is shown at once: the next one may take an hour, or be stopped.
                show(result)

        if entry is not None and entry.skip_download:
            wanted = request.benchmarks or OF_ENDPOINTS
            return list(benchmark_endpoint(entry, wanted, request.settings, utc_now, keep=keep, progress=progress))
        version = _version(name, entry, settings)
        request = replace(request, loading=_loading(entry, settings))
        store = LocalBlobStore(settings.store_folder)
        return list(benchmark(version, store, request, utc_now, keep=keep, progress=progress))


def _check_tasks(settings: BenchmarkSettings, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Check the tasks: a task needs a benchmark that takes tasks, and lm_eval needs a task."""
    if settings.tasks and not _TASKED & set(names):
        raise UsageError(f"--task is for the benchmarks {' and '.join(sorted(_TASKED))}.", "Name one with --benchmark.")
    if "lm_eval" in wanted and not settings.tasks:
        raise UsageError(
            "lm_eval needs a task.", "Name one with --task, such as arc_easy; `lm_eval ls tasks` lists them."
        )


def _check_judge(settings: BenchmarkSettings, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Check the judge: a judge needs mt_bench, mt_bench needs a judge, and the key option takes a variable's name."""
    judge = (settings.judge_url, settings.judge_model)
    if any((*judge, settings.judge_key_env)) and _JUDGED not in names:
        raise UsageError(f"A judge is for the benchmark {_JUDGED}.", "Name it with --benchmark.")
    if _JUDGED in wanted and not all(judge):
        raise UsageError(
            f"{_JUDGED} needs a judge: an OpenAI-compatible endpoint.",
            "Name it: --judge-url https://host/v1 and --judge-model.",
        )
    if settings.judge_key_env and not is_variable(settings.judge_key_env):
        raise UsageError(
            "The value of --judge-key-env is not the name of a variable.",
            "Write the variable that holds the key, in capital letters, not the key.",
        )


def _entry(models: Path, name: str) -> ModelEntry | None:
    """Return a model's entry in models.yaml; None where the file or the entry is missing."""
    if not models.exists():
        return None
    wanted, entries = name.partition("@")[0], read_models(models)
    named = (entry for entry in entries if entry.key == wanted)
    return next(named, next((entry for entry in entries if entry.hf_repo_id == wanted), None))


def _version(name: str, entry: ModelEntry | None, settings: Settings) -> ModelVersion:
    """Return the version of a name; a model that models.yaml renames is found by both names."""
    model, sign, number = name.partition("@")
    with open_catalog(settings) as catalog:
        return find(catalog, f"{entry.key if entry else model}{sign}{number}")


def _loading(entry: ModelEntry | None, settings: Settings) -> LoadingRules:
    """Return the rules for loading of the policy under which a model is judged."""
    policy = load_policy((entry.policy if entry else "") or settings.policy, Path.cwd())
    return LoadingRules(policy.loading, settings.converted_folder)


def _pair(text: str) -> tuple[str, str]:
    name, sign, path = text.partition("=")
    if not sign or not Path(path).exists():
        raise UsageError(f"“{text}” names no file or folder.", "Write --data NAME=PATH.")
    return name, str(Path(path).absolute())
