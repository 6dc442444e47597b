"""Measuring: what a door asks to have benchmarked becomes a request, less what its asker may not name.

Whoever asks for a run chooses its parameters, and what a benchmark reads may end at a judge that was chosen, too. Not
here: how benchmarks are run (benchmarks.running) and spread (benchmarks.planning); places of secrets and files of
ingests (net.on_behalf, which says more).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from weighbridge.benchmarks.interface import TASK_FILES, BenchmarkSettings
from weighbridge.benchmarks.planning import OF_ENDPOINTS
from weighbridge.benchmarks.running import BenchmarkRequest, benchmark, benchmark_endpoint, handler_options
from weighbridge.config.models_file import ModelEntry
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace, is_variable
from weighbridge.domain.request import MODELS_FILE
from weighbridge.domain.result import BenchmarkResult
from weighbridge.errors import InvalidConfiguration, UsageError
from weighbridge.intake.lookup import entry_named, find_of
from weighbridge.intake.workspace import Workspace
from weighbridge.net.auth import Auth
from weighbridge.net.on_behalf import refuse_file, refuse_place

_OURS = "weighbridge.handlers."
#: Benchmarks that take tasks.
_TASKED = {"lm_eval", "mmlu"}
#: The benchmark that asks a judge.
_JUDGED = "mt_bench"


@dataclass(frozen=True)
class MeasureRequest:
    """What is to be measured; plain values.

    Attributes:
        name: NAME or NAME@VERSION; everything that is new on this machine when empty.
        benchmarks: which ones; those of models.yaml, else of the model's task, when empty.
        handler: path of the handler's class; that of models.yaml or of the model's task when empty.
        device: `auto`, `cpu`, `cuda`, …
        models: the models file, if there is one.
        data: texts NAME=PATH, each a file or folder instead of a data set of the Hub.
        settings: of `BenchmarkSettings`, by name.
    """

    name: str = ""
    benchmarks: tuple[str, ...] = ()
    handler: str = ""
    device: str = "auto"
    models: str = MODELS_FILE
    data: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """What a request comes to.

    Attributes:
        request: what benchmarks run with.
        entries: of the models file.
        entry: of the model that is named, or None.
    """

    request: BenchmarkRequest
    entries: tuple[ModelEntry, ...]
    entry: ModelEntry | None


def prepare(request: MeasureRequest, workspace: Workspace) -> Prepared:
    """Return what a request comes to for whoever asks.

    1. The models file is one that the asker may name.
    2. A stranger's handler is one of ours, or one that models.yaml names: its module's code runs.
    3. Files of data exist; a stranger's lie in a folder that others may name, and name no code that would be run.
    4. A stranger's judge may be asked, and gets only a key that is meant for its host.
    5. Tasks and judges are for benchmarks that are asked for.

    Raises:
        InvalidConfiguration: something is not for this asker to name, or does not exist.
        UsageError: parts of the request do not fit each other.
        AddressRefused: the judge may not be asked.
    """
    settings, stranger = workspace.settings, workspace.asker.is_stranger
    if stranger:  # Endpoints of a models file name variables that hold keys: only the operator's own counts.
        refuse_file(Path(request.models), workspace.asker.folder)
    entries = workspace.entries(request.models, optional=True)
    entry = entry_named(entries, request.name.partition("@")[0]) if request.name else None
    if stranger:
        _refuse_handler(request.handler, entries)
    files = settings.benchmark_files | dict(_file(text, settings, stranger) for text in request.data)
    given = dict(request.settings)
    hub = ("" if stranger else given.pop("endpoint", "")) or settings.endpoint("huggingface")
    chosen = BenchmarkSettings(**given | {"endpoint": hub}, data=files)
    if chosen.judge_url:
        judges = settings.addresses("judge", on_behalf=workspace.asker.on_behalf)
        if stranger:
            judges.check(chosen.judge_url)
        # The name may lead elsewhere by the time that it is asked, so that it is judged again then.
        chosen = replace(chosen, judge_addresses=judges)
    if stranger:
        _refuse_key(settings, chosen)
    _check_tasks(chosen, request, entry)
    _check_judge(chosen, request, entry)
    loading = workspace.loading("" if stranger or entry is None else entry.policy)
    wanted = BenchmarkRequest(request.benchmarks, request.handler, request.device, settings=chosen, loading=loading)
    return Prepared(wanted, entries, entry)


def measure(
    request: MeasureRequest, workspace: Workspace, keep: Callable[[BenchmarkResult], None]
) -> list[BenchmarkResult]:
    """Measure one model in this process, keep each result in the catalog as soon as it is there, and return all.

    Args:
        request: names the model.
        workspace: what it is done with.
        keep: receives each result once the catalog has it: the next one may take an hour, or be stopped.

    Raises:
        UsageError: there is no such model, or parts of the request do not fit.
        InvalidConfiguration: no benchmark or handler fits it.
        RegistryError: it did not pass.
    """
    prepared = prepare(request, workspace)
    entry, wanted, progress = prepared.entry, prepared.request, workspace.progress

    def kept(result: BenchmarkResult) -> None:
        workspace.catalog.add_result(result)
        keep(result)

    names = wanted.benchmarks or tuple(entry.benchmarks if entry else ())
    if entry is not None and entry.skip_download:
        every = names or OF_ENDPOINTS
        return benchmark_endpoint(entry, every, wanted.settings, workspace.clock, keep=kept, progress=progress)
    version = find_of(workspace.catalog, request.name, entry)
    handler = wanted.handler or (entry.handler if entry else "")
    wanted = replace(wanted, benchmarks=names, handler=handler, options=handler_options(entry))
    return benchmark(version, workspace.store, wanted, workspace.clock, keep=kept, progress=progress)


def _refuse_handler(handler: str, entries: tuple[ModelEntry, ...]) -> None:
    if handler and not handler.startswith(_OURS) and handler not in {entry.handler for entry in entries}:
        raise InvalidConfiguration(
            f"Runs on behalf of others may not load {handler}.", f"Name one of {_OURS}*, or one of models.yaml."
        )


def _check_tasks(chosen: BenchmarkSettings, request: MeasureRequest, entry: ModelEntry | None) -> None:
    """Refuse a task that no benchmark would do, and a benchmark that is asked for and has none."""
    if request.name and chosen.tasks and not _TASKED & _names(request, entry):
        raise UsageError(f"--task is for the benchmarks {' and '.join(sorted(_TASKED))}.", "Name one with --benchmark.")
    if "lm_eval" in request.benchmarks and not chosen.tasks:
        raise UsageError(
            "lm_eval needs a task.", "Name one with --task, such as arc_easy; `lm_eval ls tasks` lists them."
        )


def _check_judge(chosen: BenchmarkSettings, request: MeasureRequest, entry: ModelEntry | None) -> None:
    """Refuse a judge that no benchmark would ask, a benchmark that is asked for and has none, and a key as its name."""
    judge = (chosen.judge_url, chosen.judge_model)
    if request.name and any((*judge, chosen.judge_key_env)) and _JUDGED not in _names(request, entry):
        raise UsageError(f"A judge is for the benchmark {_JUDGED}.", "Name it with --benchmark.")
    if _JUDGED in request.benchmarks and not all(judge):
        raise UsageError(
            f"{_JUDGED} needs a judge: an OpenAI-compatible endpoint.",
            "Name it: --judge-url https://host/v1 and --judge-model.",
        )
    if chosen.judge_key_env and not is_variable(chosen.judge_key_env):
        raise UsageError(
            "--judge-key-env is no name of a variable.",
            "Write the variable that holds the key, in capital letters, not the key.",
        )


def _names(request: MeasureRequest, entry: ModelEntry | None) -> set[str]:
    return set(request.benchmarks or (entry.benchmarks if entry else ()))


def _refuse_key(settings: Settings, chosen: BenchmarkSettings) -> None:
    name = chosen.judge_key_env
    refuse_place(AuthPlace(token_env=name), settings.token_places)
    if name and not Auth(token="given", hosts=settings.token_places[name]).header(chosen.judge_url):  # noqa: S106
        raise InvalidConfiguration(
            f"The key in {name} is not for {urlsplit(chosen.judge_url).hostname}.",
            "WEIGHBRIDGE_TOKEN_PLACES says which hosts it is for.",
        )


def _file(text: str, settings: Settings, stranger: bool) -> tuple[str, str]:
    name, sign, path = text.partition("=")
    whole = Path(path).resolve()
    if stranger and (not sign or not any(whole.is_relative_to(root) for root in settings.source_roots)):
        raise InvalidConfiguration(
            f"Runs on behalf of others may not read “{text}”.", "Write NAME=FILE, below WEIGHBRIDGE_FILE_ROOTS."
        )
    if stranger and whole.suffix in TASK_FILES:
        raise InvalidConfiguration(
            f"“{text}” is a task of lm-eval, whose file may name code.",
            "Runs on behalf of others measure lm-eval's own tasks: give documents.",
        )
    if not sign or not whole.exists():
        raise UsageError(f"“{text}” names no file or folder.", "Write --data NAME=PATH.")
    return name, str(whole if stranger else Path(path).absolute())
