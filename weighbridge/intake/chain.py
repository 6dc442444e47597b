"""Ingesting: the one order in which the steps take a model in, for every runner.

The same chain runs directly in this process (`Direct`) or as Prefect tasks (flows.ingest), so that there is one gate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from weighbridge.catalog import IngestCause
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.names import checked_name
from weighbridge.domain.report import ScanReport
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import CatalogError, WeighbridgeError
from weighbridge.intake import steps
from weighbridge.intake.cache_limit import limit_held
from weighbridge.intake.job import Job, Received
from weighbridge.intake.workspace import Workspace

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Pending(Protocol[T_co]):
    """A result that may not be ready yet."""

    def result(self) -> T_co:
        """Wait for the result, or raise what the step raised."""
        ...


class Runner(Protocol):
    """Runs steps: at once, or in parallel."""

    def call(self, step: Callable[..., T], *values: Any) -> T:
        """Run a step and return its result."""
        ...

    def submit(self, step: Callable[..., T], *values: Any) -> Pending[T]:
        """Start a step after its pending values are ready."""
        ...


class Direct:
    """Runs steps in threads of this process.

    Args:
        told: called after each step with its result and the seconds that it took.
        threads: the number of steps that run in parallel.
    """

    def __init__(self, told: Callable[[Callable[..., Any], Any, float], None] | None = None, threads: int = 16) -> None:
        self._told = told
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="step")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = error is not None and not isinstance(error, Exception)
        self._pool.shutdown(wait=not interrupted, cancel_futures=error is not None)

    def call(self, step: Callable[..., T], *values: Any) -> T:
        """Run a step and return its result."""
        began = time.monotonic()
        result = step(*values)
        if self._told:
            self._told(step, result, time.monotonic() - began)
        return result

    def submit(self, step: Callable[..., T], *values: Any) -> Future[T]:
        """Start a step in a thread; it waits for its pending values.

        A step waits only for steps submitted before it, and threads are assigned in order, so it cannot wait for a
        step without a thread.
        """
        return self._pool.submit(lambda: self.call(step, *(v.result() if isinstance(v, Future) else v for v in values)))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request.

    Attributes:
        version: the settled version with its decision.
        unverified: files for which the source promised no digest.
        dropped: files of the source or an archive that do not belong to the model, each with the reason.
        unchanged: whether nothing was fetched, because the source declares the same as before.
    """

    version: ModelVersion
    unverified: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    unchanged: bool = False


def ingest(job: Job, runner: Runner) -> Outcome:
    """Take one model in: resolve, fetch and scan side by side, verify, describe, decide, publish.

    Raises:
        InvalidName: the name is not valid; no request was sent.
        WeighbridgeError: a step could not do its work; nothing was published.
    """
    cause: IngestCause = "mirror" if job.workspace.asker.for_mirror else ""
    with limit_held(job.workspace), ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        return _recorded(job, cause, lambda number: _ingest(job, runner, number, pool))


def rescan(version: ModelVersion, workspace: Workspace, runner: Runner) -> Outcome:
    """Scan a version's files again and judge it under today's policy: scan, describe, decide, publish or withdraw.

    Its source is not asked. A file that today's engines with today's signatures have seen is not read again.

    Raises:
        WeighbridgeError: a step could not do its work; nothing was published.
    """
    job = Job.of(IngestRequest(version.manifest.ref, name=version.name), workspace)
    return _recorded(job, "rescan", lambda number: _rescan(job, version, runner, number))


def take_over(job: Job, manifest: Manifest, reports: tuple[ScanReport, ...], runner: Runner) -> Outcome:
    """Take a model in whose files are in the store, on the reports of another installation: nothing is scanned here.

    The rest is done as for any other model: describe, decide under the job's policy, publish.

    Raises:
        NameTaken: the name belongs to another source.
        WeighbridgeError: a step could not do its work; nothing was published.
    """
    return _recorded(job, "", lambda number: _take_over(job, manifest, reports, runner))


def _take_over(job: Job, manifest: Manifest, reports: tuple[ScanReport, ...], runner: Runner) -> Outcome:
    job.workspace.import_ahead([job.request])
    steps.admit(job, manifest)
    card = runner.call(steps.describe, job, manifest)
    decision = runner.call(steps.decide, job, manifest, [reports], card)
    return Outcome(runner.call(steps.publish, job, manifest, [reports], card, decision), unchanged=True)


def _rescan(job: Job, version: ModelVersion, runner: Runner, number: int) -> Outcome:
    job.workspace.import_ahead([job.request])
    steps.keep(job, version)
    job.workspace.catalog.update_ingest(number, "SCANNING")
    manifest = version.manifest
    reports = [runner.call(steps.scan, job, Received(manifest.files))]
    card = runner.call(steps.describe, job, manifest)
    decision = runner.call(steps.decide, job, manifest, reports, card)
    return Outcome(runner.call(steps.publish, job, manifest, reports, card, decision), unchanged=True)


def _recorded(job: Job, cause: IngestCause, work: Callable[[int], Outcome]) -> Outcome:
    """Record an attempt in the catalog, with its end; `work` gets its number."""
    catalog = job.workspace.catalog
    run_url = job.workspace.asker.run_url
    number = catalog.begin_ingest(checked_name(job.request.model), job.request.ref.uri, run_url=run_url, cause=cause)
    try:
        outcome = work(number)
    except BaseException as error:
        told = str(error) if isinstance(error, WeighbridgeError) else f"It was stopped by {type(error).__name__}."
        if not isinstance(error, Exception):
            job.workspace.retrying.stopped.set()
        with suppress(CatalogError):  # A full disk fails here too; the first error is the one to report.
            catalog.update_ingest(number, "ERROR", error=told)
        raise
    catalog.update_ingest(number, outcome.version.status, version=outcome.version.version)
    return outcome


def _ingest(job: Job, runner: Runner, number: int, background: ThreadPoolExecutor) -> Outcome:
    catalog = job.workspace.catalog
    job.workspace.import_ahead([job.request])
    registries = job.workspace.registries(job.request)
    declared = runner.call(steps.resolve, job)
    steps.admit(job, declared)
    known = steps.recall(job, declared)
    catalog.update_ingest(number, "SCANNING" if known else "FETCHING")
    if known is not None:
        received = [known]
        reports = [runner.call(steps.scan, job, known)]
    else:
        background.submit(steps.prepare, registries)  # If it fails, publishing reports why.
        fetches: list[Pending[Received]] = []
        scans = []
        for group in steps.groups(declared):
            fetches.append(runner.submit(steps.fetch, job, declared, group))
            scans.append(runner.submit(steps.scan, job, fetches[-1]))
        received = [fetched.result() for fetched in fetches]
        catalog.update_ingest(number, "SCANNING")
        reports = [scanned.result() for scanned in scans]
    manifest, comparison = runner.call(steps.verify, job, declared, received)
    steps.remember(job, declared, manifest, received)
    card = runner.call(steps.describe, job, manifest)
    decision = runner.call(steps.decide, job, manifest, reports, card)
    version = runner.call(steps.publish, job, manifest, reports, card, decision)
    dropped = (*declared.left_out, *(name for part in received for name in part.dropped))
    return Outcome(version, comparison.unverified, dropped, known is not None)
