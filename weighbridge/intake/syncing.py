"""Syncing: every wanted model asked what it is now, and held against what the catalog and the registries say of it.

What changed upstream is taken in; what did not is judged again where policy, engines or time changed, and published or
withdrawn accordingly. Not here: reading models.yaml (models_file), what no longer holds of an unchanged model
(intake.standing), or how one model is taken in (intake.chain).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.progress import counted
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import RegistryUnavailable, ScannerUnavailable, WeighbridgeError
from weighbridge.intake import standing, steps
from weighbridge.intake.chain import Outcome
from weighbridge.intake.job import Job
from weighbridge.intake.locking import locked_manifest
from weighbridge.intake.workspace import Workspace

#: What models.lock holds, by model name: the URI and the manifest.
Locks = Mapping[str, tuple[str, Manifest]]
IngestOne = Callable[[Job], Outcome]
#: Errors of what serves every model: the others are not asked the same in vain.
_OF_ALL = (ScannerUnavailable, RegistryUnavailable)


@dataclass(frozen=True)
class Failure:
    """A model that could not be taken in, and why."""

    name: str
    error: WeighbridgeError


@dataclass(frozen=True)
class Due:
    """A model with something to do.

    Attributes:
        job: takes it in.
        why: what there is to do, in words.
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
        unchanged: names of models that are what they were, and PASSED.
        held: models that are what they were, and not PASSED.
        due: models with something to do.
        failed: models that could not be asked.
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
    """What a sync came to; one model's failure stops no other one.

    Attributes:
        unchanged: names of models that are what they were, and PASSED.
        ingested: what became of those with something to do.
        failed: models that could not be asked or taken in.
        held: models that are what they were, and not PASSED.
    """

    unchanged: tuple[str, ...]
    ingested: tuple[Outcome, ...]
    failed: tuple[Failure, ...]
    held: tuple[Held, ...] = ()

    @property
    def rejected(self) -> tuple[str, ...]:
        """Names of the wanted models that are not PASSED, whenever the gate said so."""
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


def plan(requests: Sequence[IngestRequest], workspace: Workspace, locks: Locks | None = None) -> Plan:
    """Ask every source once, side by side, and compare with the catalog and the registries; nothing is changed.

    A model has something to do when its source declares what no version of that name came from, and when `standing.due`
    says so. Whether blobs are still whole is fsck's to say.
    """
    with ThreadPoolExecutor(max_workers=workspace.settings.connections * 2, thread_name_prefix="resolve") as pool:
        answers = list(pool.map(lambda request: _ask(request, workspace, locks), requests))
    failed = [found for found in answers if isinstance(found, Failure)]
    asked = [found for found in answers if isinstance(found, _Asked)]
    numbers = workspace.catalog.settled(one.fingerprint for one in asked if one.fingerprint)
    unchanged: list[str] = []
    held: list[Held] = []
    due: list[Due] = []
    broken: WeighbridgeError | None = None
    named = ((one.job.request.model, one) for one in asked)
    for one in counted(workspace.progress, "compare", "models", named, len(asked)):
        name = one.job.request.model
        number = numbers.get((name, one.fingerprint))
        version = workspace.catalog.get(name, number) if number else None
        if version is None:
            known = workspace.catalog.get(name) is not None
            due.append(Due(one.job, ("fetch: it changed upstream",) if known else ("fetch: it is new",)))
            continue
        why = broken or _standing(one.job, version)
        if isinstance(why, WeighbridgeError):
            broken = why if isinstance(why, _OF_ALL) else None
            failed.append(Failure(name, why))
        elif why:
            due.append(Due(one.job, why))
        elif version.status == "PASSED":
            unchanged.append(name)
        else:
            held.append(Held(name, version.version, version.status))
    return Plan(tuple(unchanged), tuple(held), tuple(due), tuple(failed))


def _ask(request: IngestRequest, workspace: Workspace, locks: Locks | None) -> _Asked | Failure:
    try:
        job = Job.of(request, workspace, None if locks is None else locked_manifest(request, locks))
        return _Asked(job, steps.resolve(job).fingerprint)
    except WeighbridgeError as error:
        return Failure(request.model, error)


def _standing(job: Job, version: ModelVersion) -> tuple[str, ...] | WeighbridgeError:
    try:
        return standing.due(job, version)
    except WeighbridgeError as error:
        return error


def sync(
    requests: Sequence[IngestRequest], workspace: Workspace, ingest_one: IngestOne, locks: Locks | None = None
) -> SyncReport:
    """Do what there is to do for every wanted model, one after the other.

    Args:
        requests: the wanted models.
        workspace: what it is done with.
        ingest_one: takes one model in: directly, or as a flow of its own.
        locks: what models.lock holds; with it anything else fails.
    """
    planned = plan(requests, workspace, locks)
    ingested, failed = [], list(planned.failed)
    for due in planned.due:
        try:
            ingested.append(ingest_one(due.job))
        except WeighbridgeError as error:
            failed.append(Failure(due.job.request.model, error))
    return SyncReport(planned.unchanged, tuple(ingested), tuple(failed), planned.held)


def _failures(failed: Sequence[Failure]) -> list[dict[str, Any]]:
    return [{"name": failure.name, "error": str(failure.error)} for failure in failed]
