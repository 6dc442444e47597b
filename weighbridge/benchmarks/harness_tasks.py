"""lm-eval's tasks by name, and the source of their documents: the Hub, a file, or a folder. It imports lm_eval (heavy).

Nothing that a model wrote is run, nor code of data sets, nor metrics that are code from the Hub: the benchmark's child
keeps `evaluate` from downloading them. Code that a user's own task file names is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import lm_eval.tasks
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Entry, Kind, TaskIndex
from lm_eval.tasks._yaml_loader import load_yaml

from weighbridge.benchmarks.interface import TASK_FILES
from weighbridge.errors import BenchmarkFailed
from weighbridge.system.claimed_folders import claimed

#: The folder of lm-eval's own tasks.
STOCK = Path(lm_eval.tasks.__file__).parent
# lm-eval reads any file whose path is given as a name.
_NAME = re.compile(r"\w[\w.+()-]*")
#: The prefix of a folder in the cache of `datasets` that one run has for itself.
_OF_RUN = ".weighbridge-"
#: The suffixes of files of documents, each with the format's name in `datasets`.
READERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}


@contextmanager
def loaded(
    names: Sequence[str], data: Mapping[str, str], endpoint: str, changes: Mapping[str, Mapping[str, Any]]
) -> Iterator[Any]:
    """Yield tasks with their data sets, as a `lm_eval.tasks.manager.TaskDict`.

    1. Data sets come from the requested Hub.
    2. Every name is a task, a group or a tag of lm-eval, or of a task file among the data.
    3. None of them, nor of their parts, runs what a model wrote.
    4. Files and folders replace data sets, and changed configurations replace lm-eval's own.
    5. All data sets are loaded.

    Args:
        names: the names of tasks, groups or tags.
        data: by name, files of documents, folders with a data set in the Hub's form, and task files.
        endpoint: the Hub, or empty for any.
        changes: whole configurations in place of lm-eval's own, by task.

    Raises:
        BenchmarkFailed: one of these does not hold.
    """
    if not any(Path(place).is_dir() for place in data.values()):
        yield _load(names, data, endpoint, changes, None)
        return
    kept = Path(datasets.config.HF_DATASETS_CACHE)
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkFailed(f"{kept} cannot be made: {error.strerror}.", "Set HF_HOME to a folder.") from error
    with claimed(kept, _OF_RUN) as cache:
        yield _load(names, data, endpoint, changes, cache)


def _load(
    names: Sequence[str],
    data: Mapping[str, str],
    endpoint: str,
    changes: Mapping[str, Mapping[str, Any]],
    cache: Path | None,
) -> Any:
    """Return the tasks; what `datasets` reads of a folder goes into `cache`, which is empty."""
    _check_endpoint(endpoint)
    for name in changes:
        if Path(data.get(name, "")).suffix in TASK_FILES:
            raise BenchmarkFailed(
                f"{name} takes no task file: its own is part of its definition.", "Name a file of documents."
            )
    if strange := [name for name in names if not _NAME.fullmatch(name)]:
        raise BenchmarkFailed(f"“{strange[0]}” is not the name of a task.", "`lm_eval ls tasks` lists them all.")
    own = _task_files({name: Path(data[name]) for name in names if Path(data.get(name, "")).suffix in TASK_FILES})
    index, manager = _open([part for name in names for part in _parts(name, own) if part not in own])
    index.update(own)
    for task, change in changes.items():
        index[task] = replace(index[task], yaml_path=None, cfg=dict(change))
    for name in names:
        _refuse_code(name, index)
    parts = {part for name in names for part in _parts(name, index)}
    for name in [name for name in data if name in parts and name not in own]:
        _place_data(index, name, Path(data[name]), cache)
    try:
        return manager.load(list(names))
    except Exception as error:  # lm-eval and datasets have dozens of exceptions
        raise BenchmarkFailed(
            f"{', '.join(names)} cannot be loaded: {type(error).__name__}: {str(error)[:300]}.",
            f"Data sets come from {datasets.config.HF_ENDPOINT}: check that it is reachable and has them (settings:"
            " endpoint), or name them as files (settings: data). Metrics that are code from the Hub are not loaded.",
        ) from error


def _check_endpoint(endpoint: str) -> None:
    """Raise for another Hub than the one that `datasets` read from HF_ENDPOINT when it was imported."""
    if endpoint and endpoint.rstrip("/") != str(datasets.config.HF_ENDPOINT).rstrip("/"):
        raise BenchmarkFailed(
            f"Data sets come from {datasets.config.HF_ENDPOINT} in this process, not from {endpoint}.",
            "Set HF_ENDPOINT before Python starts, as weighbridge.benchmarks.child does.",
        )


def _open(names: Sequence[str]) -> tuple[dict[str, Entry], TaskManager]:
    """Return an index of few folders, which takes 0.05 s, where that is enough; one of all takes 5 s or more."""
    folders = [folder for name in names if (folder := _folder(name))]
    few = TaskManager(include_path=list(dict.fromkeys(folders)), include_defaults=False)
    known = all(part in few.task_index for name in names for part in _parts(name, few.task_index))
    manager = few if known else TaskManager()
    return manager.task_index, manager


def _folder(name: str) -> Path | None:
    """Return the folder named like the beginning of a task's name: `arc` for `arc_easy`, `mmlu/default` for `mmlu`."""
    words = name.split("_")
    for count in range(len(words), 0, -1):
        first = "_".join(words[:count])
        if first and (STOCK / first).is_dir():
            folder = STOCK / first
            return folder / "default" if (folder / "default").is_dir() else folder
    return None


def _parts(name: str, index: Mapping[str, Entry]) -> Iterator[str]:
    """Yield a name, and those of all groups, tags and tasks that are loaded with it."""
    waiting, seen = [name], set()
    while waiting:
        part = waiting.pop()
        if part not in seen:
            seen.add(part)
            yield part
            entry = index.get(part)
            if entry is not None:
                waiting += sorted(entry.tags) if entry.kind is Kind.TAG else _members((entry.cfg or {}).get("task"))


def _members(listed: Any) -> list[str]:
    """Return the names in a group's list of tasks; a group may be written out in it."""
    found: list[str] = []
    for item in listed if isinstance(listed, list) else []:
        below = item.get("task", item.get("group")) if isinstance(item, dict) else item
        found += _members(below) if isinstance(below, list) else [str(below)]
    return found


def _refuse_code(name: str, index: Mapping[str, Entry]) -> None:
    """Raise for a task that lm-eval does not have, and for one that would run a model's code in this process."""
    if name not in index:
        raise BenchmarkFailed(f"lm-eval has no task “{name}”.", "`lm_eval ls tasks` lists them all.")
    for part in _parts(name, index):
        if part in index and (index[part].cfg or {}).get("unsafe_code"):
            raise BenchmarkFailed(
                f"The task {part} runs code that the model wrote in the process that measures.",
                "Only the benchmark humaneval runs such code here, in a sandbox.",
            )


def _task_files(paths: Mapping[str, Path]) -> dict[str, Entry]:
    """Return an index of the tasks, or groups, of files. Raises BenchmarkFailed."""
    found: dict[str, Entry] = {}
    for name, path in paths.items():
        try:
            TaskIndex.process_cfg(load_yaml(path, resolve_func=False), path, found)
        except Exception as error:  # it may raise anything for untrusted YAML
            raise BenchmarkFailed(
                f"{path} is not a task of lm-eval:  {type(error).__name__}: {str(error)[:200]}.",
                "lm-eval's own tasks are in its package, below tasks.",
            ) from error
        if name not in found:
            raise BenchmarkFailed(f"{path} has no task “{name}”.", "Use the task's own name.")
    return found


def _place_data(index: dict[str, Entry], name: str, path: Path, cache: Path | None) -> None:
    """Replace the documents of a task by those of a file, or those of a task or group by those of a folder."""
    tasks = (Kind.TASK, Kind.PY_TASK)
    leaves = [part for part in _parts(name, index) if part in index and index[part].kind in tasks]
    for leaf in leaves:
        entry = index[leaf]
        if entry.kind is Kind.PY_TASK:
            raise BenchmarkFailed(f"{leaf} is a program of lm-eval that brings its own data.", "Let it use the Hub.")
        whole = load_yaml(entry.yaml_path) if entry.yaml_path else dict(entry.cfg or {})
        index[leaf] = replace(entry, yaml_path=None, cfg=whole | _documents(name, path, whole, len(leaves), cache))


def _documents(name: str, path: Path, task: Mapping[str, Any], count: int, cache: Path | None) -> dict[str, Any]:
    """Return a task's configuration of the source of its documents."""
    if path.is_dir():
        # `datasets` would take any folder of this name and README that it has read before for this one.
        own = {**(task.get("dataset_kwargs") or {}), "cache_dir": str(cache)}
        return {"dataset_path": str(path), "dataset_kwargs": own}
    if path.suffix not in READERS or not path.is_file():
        raise BenchmarkFailed(
            f"{path} has no documents for {name}.",
            f"It may be a file that ends with {', '.join(READERS)}, a folder with a data set in the Hub's form, or a"
            " task's own .yaml.",
        )
    if count != 1:
        raise BenchmarkFailed(
            f"{name} is a group of {count} tasks, and {path} is one file.",
            "Name a file for each task, or a folder with the group's data set in the Hub's form.",
        )
    examples = {name: value for name, value in (task.get("fewshot_config") or {}).items() if name != "split"}
    return {
        "dataset_path": READERS[path.suffix],
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "training_split": None,
        "validation_split": None,
        "test_split": "test",
        # Examples then come from the file too, and lm-eval leaves out the current document, as the splits are equal.
        "fewshot_split": None if "samples" in examples else "test",
        "fewshot_config": examples or None,
    }
