"""Planning: the benchmarks to run for each model on this machine, each as a measurement.

A measurement is plain data, so that another process or machine can do it. Not here: how a benchmark runs
(benchmarks.running), or how measurements are distributed over devices (flows).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.hardware import hardware
from weighbridge.benchmarks.running import (
    BenchmarkRequest,
    benchmark,
    benchmark_endpoint,
    doable,
    handler_options,
    own_benchmarks,
    refuse_misfits,
    refuse_nothing,
)
from weighbridge.catalog import Catalog, ModelSummary
from weighbridge.config.models_file import ModelEntry
from weighbridge.domain.card import ModelCard
from weighbridge.domain.result import OF_MEMORY, OF_MODEL, BenchmarkResult
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import InvalidConfiguration, RegistryError
from weighbridge.handlers.choosing import HANDLERS, benchmarks_of
from weighbridge.handlers.loading import choose_device
from weighbridge.store.local import LocalBlobStore

#: The default benchmarks of a model at an endpoint.
OF_ENDPOINTS = ("inference_latency", "throughput")
#: Benchmarks that need a file of the operator, each with the file's name in `data`.
_NEEDED = {"speech_rate": "speech"}
#: Returns whether this machine has a result of a benchmark for a version, loaded by a handler.
Known = Callable[[ModelVersion | ModelSummary, str, str], bool]


@dataclass(frozen=True)
class Measurement:
    """One benchmark of one model on one device.

    Attributes:
        benchmark: a name of `BENCHMARKS`.
        subject: a version that passed, or an entry of models.yaml that runs at an endpoint.
        store: the folder of the blobs.
        request: the options of the measurement, and its device.
    """

    benchmark: str
    subject: ModelVersion | ModelEntry
    store: Path
    request: BenchmarkRequest

    @property
    def model(self) -> str:
        """Return the model's name."""
        return self.subject.name if isinstance(self.subject, ModelVersion) else self.subject.key

    @property
    def version(self) -> str:
        """Return its version; empty at an endpoint."""
        return self.subject.version if isinstance(self.subject, ModelVersion) else ""


def measure(
    measurement: Measurement, clock: Callable[[], datetime], cancel_event: threading.Event | None = None
) -> BenchmarkResult:
    """Run one measurement and return its result; a benchmark that fails is a result too.

    Raises:
        RegistryError: the version did not pass.
        InvalidConfiguration: there is no fitting benchmark or handler.
        Cancelled: `cancel_event` was set.
    """
    names, subject, request = (measurement.benchmark,), measurement.subject, measurement.request
    if isinstance(subject, ModelEntry):
        return benchmark_endpoint(subject, names, request.settings, clock, cancel_event=cancel_event)[0]
    wanted = replace(request, benchmarks=names)
    with LocalBlobStore(measurement.store).leased() as blobs:
        return benchmark(subject, blobs, wanted, clock, cancel_event=cancel_event)[0]


def measurements(
    name: str,
    request: BenchmarkRequest,
    catalog: Catalog,
    store: Path,
    *,
    entries: Sequence[ModelEntry] = (),
    devices: Sequence[str] = ("auto",),
    known: Known = lambda _version, _benchmark, _handler: False,
) -> tuple[Measurement, ...]:
    """Return the measurements to run, assigned to the devices in turn.

    Args:
        name: NAME[@VERSION] of a version that passed, or of an entry that runs at an endpoint; empty for every default
            version that passed and has benchmarks whose results this machine lacks and whose files it has.
        request: the benchmarks and their options; models.yaml, then the task, complete it.
        catalog: the catalog of the versions.
        store: the folder of the blobs.
        entries: those of models.yaml.
        devices: the devices for the work.
        known: returns which results exist; used only when no name is given.

    Raises:
        InvalidConfiguration: a benchmark does not exist, or a named model has none, or its handler cannot do one.
        RegistryError: the catalog does not have the version, or it did not pass.
    """
    unknown = [wanted for wanted in request.benchmarks if wanted not in BENCHMARKS]
    if unknown:
        raise InvalidConfiguration(f"There is no benchmark “{unknown[0]}”.", f"Known ones: {', '.join(BENCHMARKS)}.")
    found = [_named(name, request, catalog, entries)] if name else _new(request, catalog, entries, known)
    plain = [(subject, names, wanted) for subject, wanted in found for names in wanted.benchmarks]
    return tuple(
        Measurement(names, subject, store, replace(wanted, device=devices[number % len(devices)]))
        for number, (subject, names, wanted) in enumerate(plain)
    )


def is_known(
    catalog: Catalog, device: str, version: ModelVersion | ModelSummary, benchmark: str, handler: str = ""
) -> bool:
    """Return whether there is a result of a benchmark's present definition for a version on this machine's device.

    A result that names its handler counts only for that handler; without a `handler` every one counts. A failure of the
    model counts, as it would fail again. It may succeed on another machine, so a failure without a known machine does
    not count, nor does a possible failure of the run.
    """
    definition, here = BENCHMARKS[benchmark]().definition, _machine(hardware(choose_device(device)))
    return any(
        result.definition == definition
        and _machine(result.hardware) == here
        and (not result.failure or result.cause in (OF_MODEL, OF_MEMORY))
        and handler in ("", result.settings.get("handler", handler))
        for result in catalog.results([version.manifest.digest], benchmark)
    )


def compared(catalog: Catalog) -> list[tuple[str, BenchmarkResult]]:
    """Return the newest results of every default version that passed, each with its model's name."""
    passed = [model for model in catalog.lists.models() if model.status == "PASSED"]
    results: dict[str, list[BenchmarkResult]] = {}
    for result in catalog.results({model.manifest.digest for model in passed}):
        results.setdefault(result.manifest_digest, []).append(result)
    return [(model.name, result) for model in passed for result in results.get(str(model.manifest.digest), ())]


def comparable(catalog: Catalog, result: BenchmarkResult) -> list[str]:
    """Return the names and versions of the other models that passed and may be ranked against a result."""
    versions, others = catalog.measured(result.benchmark)
    key, own = result.comparable_key, result.manifest_digest
    equal = {one.manifest_digest for one in others if one.comparable_key == key and not one.failure} - {own}
    return sorted(
        f"{one.name} {one.version}" for one in versions if one.status == "PASSED" and str(one.manifest.digest) in equal
    )


def _machine(facts: Mapping[str, Any]) -> tuple[Any, ...]:
    kind = str(facts.get("device", "")).partition(":")[0]
    return (kind, *(facts.get(name) for name in ("processor", "cores", "gpu", "gpu_memory")))


def _named(
    name: str, request: BenchmarkRequest, catalog: Catalog, entries: Sequence[ModelEntry]
) -> tuple[ModelVersion | ModelEntry, BenchmarkRequest]:
    """Return the model of a name and its benchmarks. Raises as `measurements`."""
    model, _, number = name.partition("@")
    entry = next((entry for entry in entries if model in (entry.key, entry.hf_repo_id)), None)
    if entry is not None and entry.skip_download:
        return entry, replace(request, benchmarks=request.benchmarks or tuple(entry.benchmarks) or OF_ENDPOINTS)
    version = catalog.get(entry.key if entry is not None else model, number or None)
    if version is None:
        raise RegistryError(f"The catalog has no {name}.", "Take it in first: `weighbridge ingest`.")
    if version.status != "PASSED":
        raise RegistryError(
            f"{version.name} {version.version} is {version.status}.", "Only what passed the gate is ever loaded."
        )
    wanted = _completed(request, version.card, entry)
    handler = wanted.handler or HANDLERS.get(str(version.card.get("task")), "")
    if handler:
        refuse_misfits(wanted.benchmarks, handler)
    refuse_nothing(version, wanted.benchmarks)
    return version, wanted


def _new(
    request: BenchmarkRequest, catalog: Catalog, entries: Iterable[ModelEntry], known: Known
) -> list[tuple[ModelVersion | ModelEntry, BenchmarkRequest]]:
    """Return the default versions that passed, each with the benchmarks whose results are missing."""
    of_name: Mapping[str, ModelEntry] = {entry.key: entry for entry in entries}
    found: list[tuple[ModelVersion | ModelEntry, BenchmarkRequest]] = []
    for model in catalog.lists.models():
        if model.status != "PASSED":
            continue
        wanted = _completed(request, model.card, of_name.get(model.name))
        handler = wanted.handler or HANDLERS.get(str(model.card.get("task")), "")
        if not handler:
            continue  # No handler can load it, such as a data set or a model for images.
        having = (name for name in wanted.benchmarks if _NEEDED.get(name, "") in ("", *request.settings.data))
        missing = tuple(name for name in doable(having, handler) if not known(model, name, handler))
        version = catalog.get(model.name, model.version) if missing else None
        if version is not None:
            found.append((version, replace(wanted, benchmarks=missing)))
    return found


def _completed(request: BenchmarkRequest, card: ModelCard, entry: ModelEntry | None) -> BenchmarkRequest:
    """Return a request completed from models.yaml, then from the model's task."""
    of_entry = tuple(entry.benchmarks) if entry is not None else ()
    handler = request.handler or (entry.handler if entry is not None else "")
    return replace(
        request,
        benchmarks=request.benchmarks
        or of_entry
        or (own_benchmarks(card, handler) if handler else benchmarks_of(card)),
        handler=handler,
        options={**handler_options(entry), **request.options},
    )
