"""Running benchmarks: a version that passed is laid out as a folder of links and measured in a child process.

The child runs as this user and could write through the links, so that the blobs are checked whenever it has ended
(docs/adr/0013-what-is-given-out-is-its-own-file.md).
Not here: the benchmarks themselves (benchmarks), and ranking (benchmarks.leaderboard).
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.child import Work, run_in_child
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.config.models_file import ModelEntry
from weighbridge.domain.card import ModelCard
from weighbridge.domain.permits import LoadingRules
from weighbridge.domain.progress import Progress, Silent, counted
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import BlobMissing, IntegrityError, InvalidConfiguration
from weighbridge.handlers.choosing import BENCHMARKS as OF_TASKS
from weighbridge.handlers.choosing import benchmarks_of, handler_of
from weighbridge.handlers.declaration import read_declaration
from weighbridge.registries.export import export_folder
from weighbridge.store.interface import BlobStore


@dataclass(frozen=True)
class BenchmarkRequest:
    """The benchmarks to run for a version, and their options.

    Attributes:
        benchmarks: their names; empty for those of the model's task.
        handler: the path of the handler's class; empty for the one of the model's task.
        device: `auto`, `cpu`, `cuda`, …
        options: those of the handler, such as `pooling`.
        settings: those of the benchmarks.
        loading: how versions are loaded here.
    """

    benchmarks: tuple[str, ...] = ()
    handler: str = ""
    device: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: BenchmarkSettings = field(default_factory=BenchmarkSettings)
    loading: LoadingRules = field(default_factory=LoadingRules)


def handler_options(entry: ModelEntry | None) -> dict[str, Any]:
    """Return the options for a model's handler in models.yaml, in the form of its class."""
    if entry is None:
        return {}
    defaults = entry.defaults.model_dump(exclude_none=True)
    return entry.handler_options | ({"generation_defaults": defaults} if defaults else {})


def misfit(name: str, handler: str) -> str:
    """Return why a benchmark cannot be done with a handler, as far as its class's text shows; or nothing.

    Raises:
        InvalidConfiguration: there is no such benchmark or class.
    """
    if name not in BENCHMARKS:
        raise InvalidConfiguration(f"There is no benchmark “{name}”.", f"Known ones: {', '.join(BENCHMARKS)}.")
    benchmark, declared = BENCHMARKS[name](), read_declaration(handler)
    if declared.capabilities and benchmark.capability not in declared.capabilities:
        return f"{name} measures {benchmark.capability}, and {handler} does {', '.join(declared.capabilities)}"
    if declared.whole and benchmark.methods and not declared.methods & set(benchmark.methods):
        return f"{name} needs the method {' or '.join(benchmark.methods)}, and {handler} has neither"
    lacking = [wanted for wanted in benchmark.attributes if wanted not in declared.attributes]
    if declared.whole and lacking and "__getattr__" not in declared.methods:
        return f"{name} reads the model itself, and {handler} has no {' and no '.join(lacking)}"
    return ""


def doable(names: Iterable[str], handler: str) -> tuple[str, ...]:
    """Return the benchmarks that can be done with a handler."""
    return tuple(name for name in names if not misfit(name, handler))


def own_benchmarks(card: ModelCard, handler: str) -> tuple[str, ...]:
    """Return the default benchmarks of a model: those of its task, or of its handler where that does another one."""
    own = doable(benchmarks_of(card), handler)
    if own or not read_declaration(handler).capabilities:
        return own
    return doable(dict.fromkeys(name for names in OF_TASKS.values() for name in names), handler)


def refuse_misfits(names: Iterable[str], handler: str) -> None:
    """Raise InvalidConfiguration for benchmarks that cannot be done, before anything runs."""
    for name in names:
        if reason := misfit(name, handler):
            raise InvalidConfiguration(f"{reason}.", "Choose another benchmark, or the handler for this task.")


def refuse_nothing(version: ModelVersion, names: Sequence[str]) -> None:
    """Raise InvalidConfiguration where there is no benchmark to run."""
    if not names:
        task = version.card.get("task")
        said = f"is for {task}" if task else "does not say what it is for"
        raise InvalidConfiguration(
            f"{version.name} {said}, so it has no default benchmarks.", f"Name some: {', '.join(BENCHMARKS)}."
        )


@contextmanager
def laid_out(version: ModelVersion, blobs: BlobStore, progress: Progress | None = None) -> Iterator[Path]:
    """Yield a folder of links to a version's verified blobs, for the context.

    Raises:
        RegistryError: it did not pass.
        IntegrityError: a blob is damaged, or was changed within the context.
    """
    progress = progress or Silent()
    progress.expect("verify", version.manifest.size)
    heard = partial(progress.advance, "verify")
    with tempfile.TemporaryDirectory(prefix="weighbridge-model-", ignore_cleanup_errors=True) as name:
        folder = export_folder(version, blobs, Path(name) / "model", link="symlink", heard=heard)
        try:
            yield folder
        finally:
            refuse_changed(version, blobs)


def refuse_changed(version: ModelVersion, blobs: BlobStore) -> None:
    """Set aside the blobs of a version that were changed since it was laid out; none that is untouched is read.

    One that is gone counts as changed: no collection deletes a blob that is laid out, and a program that changed it
    before would not be found otherwise.

    Raises:
        IntegrityError: there are some.
    """
    changed = set()
    for digest in {entry.digest for entry in version.manifest.files if entry.digest}:
        try:
            blobs.prove(digest)
        except (BlobMissing, IntegrityError):
            changed.add(digest)
    if paths := [entry.path for entry in version.manifest.files if entry.digest in changed]:
        raise IntegrityError(
            f"While {version.name}@{version.version} ran, a program changed or removed its files: {', '.join(paths)}.",
            "They are out of the store: ingest the model again, and check its handler and any code of its own.",
            paths=paths,
        )


def benchmark(
    version: ModelVersion,
    blobs: BlobStore,
    request: BenchmarkRequest,
    clock: Callable[[], datetime],
    *,
    cancel_event: threading.Event | None = None,
    keep: Callable[[BenchmarkResult], None] | None = None,
    progress: Progress | None = None,
) -> list[BenchmarkResult]:
    """Measure a version and return a result for each benchmark; a failure is a result too.

    Args:
        version: a PASSED one.
        blobs: the store of its content.
        request: the benchmarks and their options.
        clock: returns the current time.
        cancel_event: ends the running benchmark, and the rest.
        keep: called with each result at once, so that a later failure loses none.
        progress: receives the name of the running benchmark.

    Raises:
        RegistryError: it did not pass.
        IntegrityError: a blob is damaged, or was changed while the model ran.
        InvalidConfiguration: there is no fitting benchmark or handler.
        Cancelled: `cancel_event` was set.
    """
    handler = request.handler or handler_of(version.name, version.card)
    options = {"name": version.name, **request.options, **request.loading.options(version, clock().date())}
    names = request.benchmarks or own_benchmarks(version.card, handler)
    refuse_misfits(names, handler)
    refuse_nothing(version, names)
    results = []
    progress = progress or Silent()
    with laid_out(version, blobs, progress) as folder:
        for name in counted(progress, "benchmark", "benchmarks", zip(names, names, strict=True), len(names)):
            work = Work(
                name,
                handler,
                str(folder),
                str(version.manifest.digest),
                request.device,
                options,
                request.settings,
            )
            result = run_in_child(work, clock, cancel_event)
            refuse_changed(version, blobs)  # What was measured may be other weights.
            if keep:
                keep(result)
            results.append(result)
    return results


def benchmark_endpoint(
    entry: ModelEntry,
    names: Sequence[str],
    settings: BenchmarkSettings,
    clock: Callable[[], datetime],
    *,
    cancel_event: threading.Event | None = None,
    keep: Callable[[BenchmarkResult], None] | None = None,
    progress: Progress | None = None,
) -> list[BenchmarkResult]:
    """Measure a model at an endpoint; it has no manifest, so its results belong to its name there.

    `cancel_event`, `keep` and `progress` are as in `benchmark`.

    Raises:
        InvalidConfiguration: the entry names no handler.
        Cancelled: `cancel_event` was set.
    """
    model = entry.hf_repo_id or entry.key
    options = {"name": entry.key, **handler_options(entry)}
    refuse_misfits(names, entry.handler)
    bound = f"endpoint:{entry.upstream_base_url}#{model}"
    results = []
    for name in counted(progress or Silent(), "benchmark", "benchmarks", zip(names, names, strict=True), len(names)):
        work = Work(name, entry.handler, model, bound, "cpu", options, settings)
        results.append(run_in_child(work, clock, cancel_event))
        if keep:
            keep(results[-1])
    return results
