"""Syncing: asks the source of every wanted model for its current files, and compares them with the catalog.

Changed models are taken in; unchanged ones are judged again where policy, engines or time have changed, and published
or withdrawn accordingly. Not here: reading models.yaml (models_file), what no longer holds of an unchanged model
(intake.standing), or how one model is taken in (intake.chain).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from weighbridge.config.models_file import requests
from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.progress import counted
from weighbridge.domain.request import MODELS_FILE, IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import RegistryUnavailable, ScannerUnavailable, WeighbridgeError
from weighbridge.intake import standing, steps
from weighbridge.intake.chain import Outcome
from weighbridge.intake.job import Job
from weighbridge.intake.unexpected import foreseen
from weighbridge.intake.workspace import Workspace

IngestOne = Callable[[Job], Outcome]
#: Errors of what serves every model: after one of these the remaining models are not tried.
_OF_ALL = (ScannerUnavailable, RegistryUnavailable)
#: How many sources are asked at once, and how many models are taken in at once.
_ASKED_AT_ONCE, _TAKEN_IN_AT_ONCE = 32, 8
#: Seconds after which models whose sources have answered no longer wait for the others.
_PAUSE_S = 1.0


@dataclass(frozen=True)
class SyncRequest:
    """The wanted models; plain values.

    Attributes:
        models: the models file.
        only: names of some of its models, separated by commas; all when empty.
        locked: whether each must be exactly what the lock holds.
    """

    models: str = MODELS_FILE
    only: str = ""
    locked: bool = False


@dataclass(frozen=True)
class Failure:
    """A model that could not be taken in, and why."""

    name: str
    error: WeighbridgeError


@dataclass(frozen=True)
class Due:
    """A model with something to do.

    Attributes:
        job: the job that takes it in.
        why: what there is to do, one phrase each.
    """

    job: Job
    why: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """An unchanged model that is not PASSED, and stays so.

    Attributes:
        name: the model's name.
        version: the version that is wanted.
        status: of that version.
    """

    name: str
    version: str
    status: VersionStatus

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return dict(vars(self))


@dataclass(frozen=True)
class Plan:
    """What a sync has to do.

    Attributes:
        unchanged: names of unchanged models that are PASSED.
        held: unchanged models that are not PASSED.
        due: models with something to do.
        failed: models whose source failed.
    """

    unchanged: tuple[str, ...]
    held: tuple[Held, ...]
    due: tuple[Due, ...]
    failed: tuple[Failure, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types: what `sync --dry-run` prints."""
        return {
            "unchanged": list(self.unchanged),
            "held": [held.to_json() for held in self.held],
            "due": [{"name": due.job.request.model, "why": list(due.why)} for due in self.due],
            "failed": _failures(self.failed),
        }


@dataclass(frozen=True)
class SyncReport:
    """The result of a sync; one model's failure stops no other one.

    Attributes:
        unchanged: names of unchanged models that are PASSED.
        ingested: the outcomes of those with something to do.
        failed: models whose source failed, or that could not be taken in.
        held: unchanged models that are not PASSED.
    """

    unchanged: tuple[str, ...]
    ingested: tuple[Outcome, ...]
    failed: tuple[Failure, ...]
    held: tuple[Held, ...] = ()

    @property
    def rejected(self) -> tuple[str, ...]:
        """Names of the wanted models that are not PASSED, whenever that was decided."""
        fresh = (outcome.version.name for outcome in self.ingested if outcome.version.status != "PASSED")
        return (*fresh, *(held.name for held in self.held))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "unchanged": list(self.unchanged),
            "ingested": [
                {
                    "name": outcome.version.name,
                    "version": outcome.version.version,
                    "status": outcome.version.status,
                    "manifest_digest": str(outcome.version.manifest.digest),
                }
                for outcome in self.ingested
            ],
            "held": [held.to_json() for held in self.held],
            "failed": _failures(self.failed),
        }


@dataclass(frozen=True)
class _Asked:
    """A model whose source answered."""

    job: Job
    fingerprint: str


def plan(request: SyncRequest, workspace: Workspace) -> Plan:
    """Ask every source once, in parallel, and compare with the catalog and the registries; nothing is changed.

    A model has something to do when its source declares files that no version of that name has, and when `standing.due`
    returns something. Blobs are not checked: fsck does that.

    Raises:
        InvalidConfiguration: the models file or its lock cannot be read, or this asker may not name them.
    """
    found, wanted = _Findings(workspace), _wanted(request, workspace)
    for answers in _answers(wanted, workspace):
        found.add(answers)
    return found.plan(wanted)


def _wanted(request: SyncRequest, workspace: Workspace) -> tuple[IngestRequest, ...]:
    entries = workspace.entries(request.models, request.only)
    if request.locked:
        workspace.locks(request.models)  # Read once, before threads ask for it.
    return tuple(replace(one, locked=request.locked, models=request.models) for one in requests(entries))


def _answers(requests: Sequence[IngestRequest], workspace: Workspace) -> Iterator[list[_Asked | Failure]]:
    """Yield the answers of the sources, grouped by the second in which they came."""
    workers = min(_ASKED_AT_ONCE, len(requests)) or 1
    workspace.import_ahead(requests)
    with _interruptible(ThreadPoolExecutor(workers, thread_name_prefix="resolve")) as pool:
        pending = {pool.submit(_ask, request, workspace) for request in requests}
        while pending:
            done, pending = wait(pending, timeout=_PAUSE_S)
            if done:
                yield [one.result() for one in done]


class _Findings:
    """The answers, compared with the catalog and the registries."""

    def __init__(self, workspace: Workspace) -> None:
        self._catalog, self._progress = workspace.catalog, workspace.progress
        self._unchanged: list[str] = []
        self._held: list[Held] = []
        self._due: list[Due] = []
        self._failed: list[Failure] = []
        self._broken: WeighbridgeError | None = None

    def add(self, answers: Sequence[_Asked | Failure]) -> list[Due]:
        """Add some answers and return which of these models have something to do."""
        before = len(self._due)
        self._failed += [found for found in answers if isinstance(found, Failure)]
        asked = [found for found in answers if isinstance(found, _Asked)]
        numbers = self._catalog.settled(one.fingerprint for one in asked if one.fingerprint)
        named = ((one.job.request.model, one) for one in asked)
        for one in counted(self._progress, "compare", "models", named, len(asked)):
            number = numbers.get((one.job.request.model, one.fingerprint))
            self._hold(one, self._catalog.get(one.job.request.model, number) if number else None)
        return self._due[before:]

    def _hold(self, one: _Asked, version: ModelVersion | None) -> None:
        name = one.job.request.model
        if version is None:
            known = self._catalog.get(name) is not None
            self._due.append(Due(one.job, ("fetch: it changed upstream",) if known else ("fetch: it is new",)))
            return
        why = self._broken or _standing(one.job, version)
        if isinstance(why, WeighbridgeError):
            self._broken = why if isinstance(why, _OF_ALL) else None
            self._failed.append(Failure(name, why))
        elif why:
            self._due.append(Due(one.job, why))
        elif version.status == "PASSED":
            self._unchanged.append(name)
        else:
            self._held.append(Held(name, version.version, version.status))

    def plan(self, requests: Sequence[IngestRequest]) -> Plan:
        """Return all of it in the order of the requests."""
        order = {request.model: number for number, request in enumerate(requests)}
        return Plan(
            tuple(sorted(self._unchanged, key=lambda name: order[name])),
            tuple(sorted(self._held, key=lambda held: order[held.name])),
            tuple(sorted(self._due, key=lambda due: order[due.job.request.model])),
            tuple(sorted(self._failed, key=lambda failure: order[failure.name])),
        )


@contextmanager
def _interruptible(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool and wait for its threads at the end, unless an interrupt ends the block."""
    try:
        yield pool
    except BaseException as error:
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()


def _ask(request: IngestRequest, workspace: Workspace) -> _Asked | Failure:
    try:
        job = Job.of(request, workspace)
        return _Asked(job, steps.resolve(job).fingerprint)
    except Exception as error:  # noqa: BLE001 (a bug that one model meets stops no other model)
        return Failure(request.model, foreseen(error, request.model, workspace.settings.folder))


def _standing(job: Job, version: ModelVersion) -> tuple[str, ...] | WeighbridgeError:
    try:
        return standing.due(job, version)
    except Exception as error:  # noqa: BLE001 (as above)
        return foreseen(error, job.request.model, job.workspace.settings.folder)


def sync(request: SyncRequest, workspace: Workspace, ingest_one: IngestOne) -> SyncReport:
    """Do what there is to do for every wanted model, a few at once, so that a slow server delays only its own models.

    Args:
        request: the wanted models.
        workspace: the workspace to use.
        ingest_one: takes one model in: directly, or as a flow of its own; called in several threads.

    Raises:
        InvalidConfiguration: the models file or its lock cannot be read, or this asker may not name them.
    """
    found, wanted = _Findings(workspace), _wanted(request, workspace)
    results: dict[str, Future[Outcome | Failure]] = {}
    with _interruptible(ThreadPoolExecutor(_TAKEN_IN_AT_ONCE, thread_name_prefix="sync")) as pool:
        for answers in _answers(wanted, workspace):
            for due in found.add(answers):
                results[due.job.request.model] = pool.submit(copy_context().run, _take_in, due.job, ingest_one)
        planned = found.plan(wanted)
        done = [results[due.job.request.model].result() for due in planned.due]
    ingested = tuple(one for one in done if isinstance(one, Outcome))
    failed = (*planned.failed, *(one for one in done if isinstance(one, Failure)))
    return SyncReport(planned.unchanged, ingested, failed, planned.held)


def _take_in(job: Job, ingest_one: IngestOne) -> Outcome | Failure:
    try:
        return ingest_one(job)
    except Exception as error:  # noqa: BLE001 (as above)
        return Failure(job.request.model, foreseen(error, job.request.model, job.workspace.settings.folder))


def _failures(failed: Sequence[Failure]) -> list[dict[str, Any]]:
    return [{"name": failure.name, "error": str(failure.error)} for failure in failed]
