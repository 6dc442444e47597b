"""Syncing: every wanted model asked what it is now; only what changed is ingested.

Not here: reading models.yaml (models_file), or how one model is taken in (intake.chain).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.manifest import Manifest
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import WeighbridgeError
from weighbridge.intake import steps
from weighbridge.intake.chain import Outcome
from weighbridge.intake.job import Job
from weighbridge.intake.locking import locked_manifest
from weighbridge.intake.workspace import Workspace

#: What models.lock holds, by model name: the URI and the manifest.
Locks = Mapping[str, tuple[str, Manifest]]
IngestOne = Callable[[Job], Outcome]


@dataclass(frozen=True)
class Failure:
    """A model that could not be taken in, and why."""

    name: str
    error: WeighbridgeError


@dataclass(frozen=True)
class Plan:
    """What a sync has to do.

    Attributes:
        unchanged: names of models that are what they were.
        changed: jobs of those that are not.
        failed: models that could not be asked.
    """

    unchanged: tuple[str, ...]
    changed: tuple[Job, ...]
    failed: tuple[Failure, ...]


@dataclass(frozen=True)
class SyncReport:
    """What a sync came to; one model's failure stops no other one."""

    unchanged: tuple[str, ...]
    ingested: tuple[Outcome, ...]
    failed: tuple[Failure, ...]

    @property
    def rejected(self) -> tuple[Outcome, ...]:
        """The models that the gate did not pass."""
        return tuple(outcome for outcome in self.ingested if outcome.version.status != "PASSED")

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
            "failed": [{"name": failure.name, "error": str(failure.error)} for failure in self.failed],
        }


def plan(requests: Sequence[IngestRequest], workspace: Workspace, locks: Locks | None = None) -> Plan:
    """Ask every source once, side by side, and compare with the catalog in one query.

    A model is unchanged when the source declares what it declared when a version of that name was settled. Whether its
    blobs are still whole is fsck's to say, whether the gate's rules changed an ingest's.
    """
    with ThreadPoolExecutor(max_workers=workspace.settings.connections * 2, thread_name_prefix="resolve") as pool:
        asked = list(pool.map(lambda request: _ask(request, workspace, locks), requests))
    settled = workspace.catalog.settled(found[1] for found in asked if not isinstance(found, Failure) and found[1])
    unchanged: list[Job] = []
    changed: list[Job] = []
    for found in asked:
        if not isinstance(found, Failure):
            job, fingerprint = found
            pinned = job.request.hash is not None or job.request.nar is not None
            known = (job.request.model, fingerprint) in settled and not pinned
            (unchanged if known else changed).append(job)
    failed = tuple(found for found in asked if isinstance(found, Failure))
    return Plan(tuple(job.request.model for job in unchanged), tuple(changed), failed)


def _ask(request: IngestRequest, workspace: Workspace, locks: Locks | None) -> tuple[Job, str] | Failure:
    try:
        job = Job.of(request, workspace, None if locks is None else locked_manifest(request, locks))
        return job, steps.resolve(job).fingerprint
    except WeighbridgeError as error:
        return Failure(request.model, error)


def sync(
    requests: Sequence[IngestRequest], workspace: Workspace, ingest_one: IngestOne, locks: Locks | None = None
) -> SyncReport:
    """Take in every model that changed, one after the other.

    Args:
        requests: the wanted models.
        workspace: what it is done with.
        ingest_one: takes one model in: directly, or as a flow of its own.
        locks: what models.lock holds; with it anything else fails.
    """
    planned = plan(requests, workspace, locks)
    ingested, failed = [], list(planned.failed)
    for job in planned.changed:
        try:
            ingested.append(ingest_one(job))
        except WeighbridgeError as error:
            failed.append(Failure(job.request.model, error))
    return SyncReport(planned.unchanged, tuple(ingested), tuple(failed))
