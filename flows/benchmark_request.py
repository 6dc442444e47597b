"""What a run may be asked to measure with: parameters become a request, less what is not for others to name.

Whoever asks for a run chooses its parameters, and what a benchmark reads may end at a judge that he chose, too. Not
here: places of secrets and files of ingests (weighbridge.net.on_behalf, which says more).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from weighbridge.benchmarks.interface import TASK_FILES, BenchmarkSettings
from weighbridge.benchmarks.offered_settings import OfferedSetting, offered_settings
from weighbridge.benchmarks.running import BenchmarkRequest
from weighbridge.config.models_file import ModelEntry, read_models
from weighbridge.config.policy_file import load_policy
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.permits import LoadingRules
from weighbridge.errors import InvalidConfiguration
from weighbridge.net.auth import Auth
from weighbridge.net.on_behalf import refuse_file, refuse_place

_OURS = "weighbridge.handlers."
#: What a run may choose; the Hub is the worker's.
SETTINGS = offered_settings(without=("endpoint",))


def in_form(setting: OfferedSetting) -> tuple[Any, Any]:
    """Return type and default of a setting in a form, whose numbers are whole and are never left out."""
    if setting.default is None:
        return int, -1
    return (int, int(setting.default)) if setting.type is float else (setting.type, setting.default)


def entries_of(models: str) -> tuple[ModelEntry, ...]:
    """Return what the operator's own models file says; nothing where there is none.

    Raises:
        InvalidConfiguration: the file lies elsewhere: its endpoints name variables that hold keys.
    """
    path = Path(models)
    refuse_file(path, Path.cwd())
    return read_models(path) if path.exists() else ()


def request_of(
    settings: Settings,
    entries: Sequence[ModelEntry],
    benchmarks: Iterable[str],
    handler: str,
    data: Iterable[str],
    chosen: BenchmarkSettings,
) -> BenchmarkRequest:
    """Return the request that parameters mean.

    1. A handler is one of ours, or one that models.yaml names: its module's code runs.
    2. Files of data lie in one of the folders that others may name, and name no code that would be run.
    3. The judge may be asked, and gets only a key that is meant for its host.

    Raises:
        InvalidConfiguration: something is not for others to name.
        AddressRefused: the judge may not be asked.
    """
    if handler and not handler.startswith(_OURS) and handler not in {entry.handler for entry in entries}:
        raise InvalidConfiguration(
            f"Runs on behalf of others may not load {handler}.", f"Name one of {_OURS}*, or one of models.yaml."
        )
    judges = settings.addresses("judge", on_behalf=True)
    if chosen.judge_url:
        judges.check(chosen.judge_url)
    _refuse_key(settings, chosen)
    files = settings.benchmark_files | dict(_file(settings, text) for text in data)
    # The name may lead elsewhere by the time that it is asked, so that it is judged again then.
    measured_with = replace(chosen, data=files, judge_addresses=judges if chosen.judge_url else None)
    loading = LoadingRules(load_policy(settings.policy, Path.cwd()).loading, settings.converted_folder)
    return BenchmarkRequest(tuple(benchmarks), handler, settings=measured_with, loading=loading)


def _refuse_key(settings: Settings, chosen: BenchmarkSettings) -> None:
    name = chosen.judge_key_env
    refuse_place(AuthPlace(token_env=name), settings.token_places)
    if name and not Auth(token="given", hosts=settings.token_places[name]).header(chosen.judge_url):  # noqa: S106
        raise InvalidConfiguration(
            f"The key in {name} is not for {urlsplit(chosen.judge_url).hostname}.",
            "WEIGHBRIDGE_TOKEN_PLACES says which hosts it is for.",
        )


def _file(settings: Settings, text: str) -> tuple[str, str]:
    name, sign, path = text.partition("=")
    whole = Path(path).resolve()
    if not sign or not any(whole.is_relative_to(root) for root in settings.source_roots):
        raise InvalidConfiguration(
            f"Runs on behalf of others may not read “{text}”.", "Write NAME=FILE, below WEIGHBRIDGE_FILE_ROOTS."
        )
    if whole.suffix in TASK_FILES:
        raise InvalidConfiguration(
            f"“{text}” is a task of lm-eval, whose file may name code.",
            "Runs on behalf of others measure lm-eval's own tasks: give documents.",
        )
    if not whole.exists():
        raise InvalidConfiguration(f"“{text}” names no file.", "Write NAME=FILE, a file of the worker's.")
    return name, str(whole)
