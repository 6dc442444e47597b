"""Whether models of the Hub are here: passed, quarantined, withdrawn, being taken in, or never asked for.

A model counts by the repository that it came from, whatever it is called here, and a caller hears of those only that it
may read. Not here: what the Hub says of the models, which the caller brings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from weighbridge.catalog import Catalog, Ingest, StoredJob
from weighbridge.catalog.repositories import RepositoryVersion
from weighbridge.domain.hub_models import HubModel
from weighbridge.domain.repositories import repository_at

#: For how long an attempt counts as running whose process has reported nothing: a download may be quiet for hours.
_QUIET_FOR = timedelta(hours=12)
#: Jobs that are open at once and looked at.
_MOST_JOBS = 1000
_AT_WORK = ("PENDING", "FETCHING", "SCANNING")


class HereState(StrEnum):
    """Whether a model of the Hub is here; of several that hold, the first one in this order counts."""

    PASSED = "passed"
    RUNNING = "running"
    WITHDRAWN = "withdrawn"
    QUARANTINED = "quarantined"
    SKIPPED = "skipped"
    FAILED = "failed"
    ABSENT = "absent"


@dataclass(frozen=True)
class Here:
    """What is here of a model of the Hub.

    Attributes:
        state: of `HereState`.
        name: of the model here; None where there is none that the caller may read.
        version: its number, or None.
        commit: of the Hub's repository, or None.
        is_current: whether that commit is the one that the Hub lists; None where either is not known.
        job: the id of the job that takes it in, or None.
        reason: why it is quarantined or withdrawn, or why the last attempt failed; empty otherwise.
    """

    state: HereState = HereState.ABSENT
    name: str | None = None
    version: str | None = None
    commit: str | None = None
    is_current: bool | None = None
    job: str | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**asdict(self), "state": str(self.state)}


ABSENT = Here()


def standings(
    models: Sequence[HubModel], catalog: Catalog, now: datetime, may_read: Callable[[str], bool] = lambda _: True
) -> dict[str, Here]:
    """Return what is here of models of the Hub, by their id.

    Args:
        models: as the Hub lists them.
        catalog: the catalog.
        now: the current time.
        may_read: whether the caller may read a model of that name here.
    """
    by_repository = {model.id.casefold(): model for model in models}
    versions = [one for one in catalog.repositories.versions(by_repository) if may_read(one.name)]
    jobs = _open_jobs(catalog, may_read)
    attempts = _attempts(by_repository, versions, catalog, may_read)
    found = {}
    for repository, model in by_repository.items():
        own = [one for one in versions if one.repository == repository]
        candidates = [
            *(_of_version(one, model) for one in own),
            *((_of_job(jobs[repository]),) if repository in jobs else ()),
            *((_of_attempt(attempts[repository], now),) if repository in attempts else ()),
        ]
        found[model.id] = min(candidates, key=_rank, default=ABSENT)
    return found


_ORDER = list(HereState)


def _rank(here: Here) -> tuple[int, bool]:
    """Return the place of a candidate: by its state; of equal ones, what is at the Hub's commit comes first."""
    return _ORDER.index(here.state), not here.is_current


def _of_version(version: RepositoryVersion, model: HubModel) -> Here:
    state = {"PASSED": HereState.PASSED, "SKIPPED": HereState.SKIPPED}.get(version.status, HereState.QUARANTINED)
    if version.withdrawn:
        state = HereState.WITHDRAWN
    same = version.commit == model.sha if version.commit and model.sha else None
    reason = version.withdrawn or (version.reason if state is HereState.QUARANTINED else "")
    return Here(state, version.name, version.version, version.commit or None, same, reason=reason)


def _open_jobs(catalog: Catalog, may_read: Callable[[str], bool]) -> Mapping[str, StoredJob]:
    """Return the jobs that take in a model of a Hub and have not ended, by its repository; of several, the oldest."""
    states = (catalog.jobs.listed(state=state, limit=_MOST_JOBS) for state in ("queued", "running"))
    of_ingests = (job for jobs in states for job in jobs if job.order.kind == "ingest" and may_read(job.order.name))
    return {repository_at(str(job.order.request.get("uri", ""))): job for job in of_ingests}


def _of_job(job: StoredJob) -> Here:
    return Here(HereState.RUNNING, job.order.name, job=job.id)


def _attempts(
    repositories: Mapping[str, HubModel],
    versions: Sequence[RepositoryVersion],
    catalog: Catalog,
    may_read: Callable[[str], bool],
) -> Mapping[str, Ingest]:
    """Return the newest attempt of each repository, under the Hub's name or one that a version of it has here."""
    names = {model.id for model in repositories.values()} | {one.name for one in versions}
    found: dict[str, Ingest] = {}
    for attempt in catalog.repositories.attempts({name for name in names if may_read(name)}).values():
        repository = repository_at(attempt.uri)
        if repository in repositories and (repository not in found or found[repository].id < attempt.id):
            found[repository] = attempt
    return found


def _of_attempt(attempt: Ingest, now: datetime) -> Here:
    if attempt.status in _AT_WORK and now - attempt.updated_at < _QUIET_FOR:
        return Here(HereState.RUNNING, attempt.name)
    if attempt.status == "ERROR":
        return Here(HereState.FAILED, attempt.name, reason=attempt.error)
    return ABSENT
