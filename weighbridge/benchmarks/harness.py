"""`mmlu` and `lm_eval`: lm-eval's own tasks, with the handler's model as it was loaded.

Prompts, few-shot examples, answers and metrics are those of lm-eval's task of that name, without a chat template; its
version, and a digest of the documents and prompts, are part of the settings. `limit` takes the first documents of a
task. Data sets come from the Hub of HF_ENDPOINT (the benchmark's child sets it from `endpoint`), or from `data`: for a
task's name a file of documents, a folder with its data set in the Hub's form, or the user's own task file, which may
run the code that it names (harness_tasks).

Intervals, 95 %: Wilson's score where every document counts 0 or 1, also over a group's documents together; otherwise
the value ± 1.96 standard errors of lm-eval (1,000 bootstrap samples for values that are not means), within 0 and 1
where all documents count between them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from weighbridge.benchmarks.interface import TASK_FILES, BenchmarkSettings, Measured
from weighbridge.benchmarks.statistics import LEVEL, bounded, share
from weighbridge.domain.extras import install_command
from weighbridge.domain.result import INSUFFICIENT, Interval, Metric
from weighbridge.errors import BenchmarkFailed
from weighbridge.handlers.interface import Handler

_DEVIATIONS = 1.96
#: The fewest documents for a standard error.
_LEAST = 2


class LmEval:
    """Any task of lm-eval, or several, by name in `tasks`; see the module."""

    name: ClassVar[str] = "lm_eval"
    definition: ClassVar[str] = "lm_eval/2"
    capability: ClassVar[str] = "chat-completion"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ("model", "tokenizer")

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Evaluate the handler's model.

        Raises:
            BenchmarkFailed: there is no such task or data set, or an endpoint's model.
            HandlerError, OutOfMemory, Cancelled: as the handler.
        """
        if not settings.tasks:
            raise BenchmarkFailed("No task of lm-eval is named.", "Name some, such as arc_easy or hellaswag.")
        return measure(handler, settings.tasks, settings, cancel_event, self.name)


class Mmlu:
    """MMLU (Hendrycks et al., 2021) of lm-eval: 57 subjects, or those of `tasks`; see the module."""

    name: ClassVar[str] = "mmlu"
    definition: ClassVar[str] = "mmlu/1"
    capability: ClassVar[str] = "chat-completion"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ("model", "tokenizer")

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Evaluate the handler's model.

        Raises:
            BenchmarkFailed: there is no such subject or data set, or an endpoint's model.
            HandlerError, OutOfMemory, Cancelled: as the handler.
        """
        check_installed()
        from weighbridge.benchmarks.harness_tasks import STOCK

        tasks = settings.tasks or ("mmlu",)
        known = {path.stem.lstrip("_") for path in (STOCK / "mmlu" / "default").glob("*.yaml")}
        if wrong := sorted(set(tasks) - known):
            raise BenchmarkFailed(
                f"{', '.join(wrong)} is not part of mmlu.",
                "Name subjects such as mmlu_anatomy, or mmlu_stem; lm_eval measures other tasks.",
            )
        return measure(handler, tasks, settings, cancel_event, self.name, words={"acc": "accuracy"})


def check_installed() -> None:
    """Raise BenchmarkFailed where lm-eval is not installed; the remedy names what to install."""
    for name in ("torch", "transformers", "datasets", "lm_eval"):
        if importlib.util.find_spec(name) is None:
            raise BenchmarkFailed(f"The package {name} is not installed.", install_command("benchmark"))


def measure(
    handler: Handler,
    tasks: Sequence[str],
    settings: BenchmarkSettings,
    cancel_event: threading.Event,
    name: str,
    *,
    words: Mapping[str, str] | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Measured:
    """Run tasks and return the results of lm-eval.

    Args:
        handler: the handler of the model.
        tasks: their names.
        settings: `limit`, `shots`, `seed`, `batch_sizes` (the largest is used), `data` and `endpoint`.
        cancel_event: ends it.
        name: the name of the benchmark.
        words: our name for each of lm-eval's metrics.
        changes: whole configurations in place of lm-eval's own, by task.

    Raises:
        BenchmarkFailed, HandlerError, OutOfMemory, Cancelled: as the benchmarks.
    """
    check_installed()
    from weighbridge.benchmarks import evaluation

    evaluation.check_model(handler, name)
    batch_size = max(settings.batch_sizes, default=1)
    found = evaluation.run(handler, tasks, settings, batch_size, cancel_event, changes)
    results, samples = found.results, _samples(found.results)
    metrics = tuple(_metrics(results, samples, tasks, words or {}))
    if not metrics:
        raise BenchmarkFailed(
            f"lm-eval measured nothing of {', '.join(tasks)}.",
            "Its data may be empty, or its metrics code from the Hub, which is not loaded.",
        )
    files = {task: Path(settings.data[task]) for task in tasks if task in settings.data}
    chosen = {
        "tasks": list(tasks),
        "versions": {task: str(version) for task, version in results["versions"].items()},
        "shots": results["n-shot"],
        "documents": _digest(results["samples"]),
        "task_files": {task: _file_digest(path) for task, path in files.items() if path.suffix in TASK_FILES},
        "limit": settings.limit,
        "seed": settings.seed,
        "batch_size": batch_size,
        "chat_template": False,
        "sampling": "as the task says",
        **(_publishers(handler) if _generates(results) else {}),
    }
    by_name = {f"{metric}/{task}": values for (task, metric), values in samples.items()}
    return Measured(metrics, chosen, by_name, _shortened(found.shortened))


def _generates(results: Mapping[str, Any]) -> bool:
    """Return whether the model wrote texts for one of the tasks."""
    return any(config.get("output_type") == "generate_until" for config in results["configs"].values())


def _publishers(handler: Any) -> dict[str, Any]:
    """Return the settings of the publisher's generation_config.json that apply to what is not sampled."""
    own = getattr(handler, "generation_settings", None)
    applied = own.always if own is not None else {}
    return {"generation_config": {name: applied[name] for name in applied if not name.endswith("_token_id")}}


def _shortened(count: int) -> str:
    return f"{count:,} prompts are longer than the model's context, and lost their beginning" if count else ""


def _samples(results: Mapping[str, Any]) -> dict[tuple[str, str], list[float]]:
    """Return the value of each document, by task and metric (`acc`, or `exact_match,strict-match` with its filter)."""
    found: dict[tuple[str, str], list[float]] = {}
    for task, samples in results["samples"].items():
        for sample in samples:
            for metric in sample["metrics"]:
                value = sample.get(metric)
                if isinstance(value, bool | int | float):
                    found.setdefault((task, _key(metric, sample["filter"])), []).append(float(value))
    return found


def _metrics(
    results: Mapping[str, Any],
    samples: Mapping[tuple[str, str], list[float]],
    asked: Sequence[str],
    words: Mapping[str, str],
) -> Iterator[Metric]:
    """Yield the metrics, those of the requested tasks first; for a single task their names have no task."""
    rows = {**results["results"], **results.get("groups", {})}
    for task in sorted(rows, key=lambda row: (row not in asked, row not in results["group_subtasks"], row)):
        for column, value in rows[task].items():
            metric, comma, kind = column.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            key = _key(metric, kind)
            name = words.get(key, key) if [task] == list(asked) else f"{words.get(key, key)}/{task}"
            values = [value for leaf in _leaves(results, task) for value in samples.get((leaf, key), [])]
            error = rows[task].get(f"{metric}_stderr,{kind}")
            better = "higher" if results["higher_is_better"].get(task, {}).get(metric, True) else "lower"
            yield metric_of(name, float(value), values, error, better, _count(rows[task], column))


def metric_of(name: str, value: float, values: Sequence[float], error: Any, better: str, n: int) -> Metric:
    """Return a metric of lm-eval with its interval; see the module.

    Args:
        name: the name of the metric.
        value: the value of lm-eval.
        values: the value of each document, where it is a number.
        error: lm-eval's standard error, or something else where it has none.
        better: whether a `higher` or a `lower` value is better.
        n: the number of documents.
    """
    whole = sum(values)
    if values and set(values) <= {0.0, 1.0} and abs(whole / len(values) - value) < 1e-9:
        return share(name, round(whole), len(values), better)
    if not isinstance(error, int | float) or error != error:
        return Metric(name, value, "1", n, None, INSUFFICIENT if n < _LEAST else "", better)
    within = (0.0, 1.0) if values and min(values) >= 0 and max(values) <= 1 else (-math.inf, math.inf)
    half, interval = _DEVIATIONS * float(error), None
    if half:
        interval = Interval(max(value - half, within[0]), min(value + half, within[1]), LEVEL)
    elif math.isfinite(within[0]):  # All documents have the same value, which does not show their spread.
        interval = bounded(value, n)
    return Metric(name, value, "1", n, interval, "" if interval else INSUFFICIENT, better)


def _leaves(results: Mapping[str, Any], task: str) -> list[str]:
    """Return the tasks of a group, or the task itself."""
    below = results["group_subtasks"].get(task)
    return [leaf for child in below for leaf in _leaves(results, child)] if below else [task]


def _count(row: Mapping[str, Any], column: str) -> int:
    counted = row.get("sample_count", {})
    return int(counted.get(column) or row.get("sample_len") or 0)


def _key(metric: str, kind: str) -> str:
    return metric if kind in ("none", "create_test") else f"{metric},{kind}"


def _digest(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return a digest of the documents and lm-eval's prompts for them, so that other data are noticed."""
    found = hashlib.sha256()
    for task in sorted(samples):
        for sample in samples[task]:
            found.update(f"{task} {sample['doc_id']} {sample['doc_hash']} {sample['prompt_hash']}\n".encode())
    return f"sha256:{found.hexdigest()}"


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
