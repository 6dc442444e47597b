"""Warming: models are taken in ahead of time, by the same jobs that the mirror's clients start by asking for them.

Not here: that job (intake.job_run), and a miss of the mirror (intake.mirror_ingests).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weighbridge.catalog import StoredJob
from weighbridge.domain.access import Caller
from weighbridge.domain.progress import BYTES, Progress
from weighbridge.domain.text import shown
from weighbridge.errors import StateConflict, UsageError
from weighbridge.intake.asker import process_user
from weighbridge.intake.job_worker import JobWorker
from weighbridge.intake.mirror_ingests import begun, reference, revision_name
from weighbridge.intake.mirrored_models import RepoKind
from weighbridge.intake.resources import Resources

#: How clients name a data set in a path.
_DATA_SETS = "datasets/"
#: Seconds between two looks at jobs.
_LOOK_S = 0.5
#: Steps whose progress is shown.
_STEPS = ("fetch", "scan")


@dataclass(frozen=True)
class WantedRepository:
    """A repository that is to be here.

    Attributes:
        kind: what it is for the Hub.
        name: its name there.
        revision: branch, tag or commit; empty for `main`.
    """

    kind: RepoKind
    name: str
    revision: str

    @classmethod
    def parse(cls, text: str, revision: str = "") -> WantedRepository:
        """Read `org/name`, `datasets/org/name`, either with `@revision`; `revision` counts where that is missing."""
        path, _, own = text.strip().partition("@")
        kind: RepoKind = "datasets" if path.startswith(_DATA_SETS) else "models"
        return cls(kind, path.removeprefix(_DATA_SETS), own or revision)

    @property
    def label(self) -> str:
        """The name of the model in the catalog."""
        return revision_name(self.name, self.revision)


@dataclass(frozen=True)
class Warmed:
    """What became of a repository.

    Attributes:
        name: the name of the model in the catalog.
        state: `here` before; or that of its job: queued, running, done, failed, cancelled.
        status: the version's status; empty where there is none.
        version: its number; empty where there is none.
        job: the id of the job; empty where there is none.
        problem: why it could not be taken in; empty otherwise.
    """

    name: str
    state: str
    status: str = ""
    version: str = ""
    job: str = ""
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether clients get it now."""
        return self.status == "PASSED"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return dict(vars(self))


def wanted_in(lines: Iterable[str], revision: str = "") -> list[WantedRepository]:
    """Return the repositories of a list, one a line; empty lines count for nothing, and neither does what follows #."""
    texts = (line.partition("#")[0].strip() for line in lines)
    return [WantedRepository.parse(text, revision) for text in texts if text]


def start(wanted: Sequence[WantedRepository], resources: Resources) -> list[Warmed]:
    """Have every repository taken in that is not here, and return what each is at now.

    Raises:
        UsageError: a name can be none of a Hub's; then nothing is begun.
        StateConflict: the mode of a name is `catalog`, or the name belongs to another source; then nothing is begun.
        TooManyAtOnce: too many jobs wait; those that were begun go on.
    """
    for one in wanted:
        _refuse(one, resources)
    return [_started(one, resources) for one in wanted]


def _refuse(wanted: WantedRepository, resources: Resources) -> None:
    ref = reference(wanted.kind, wanted.name, wanted.revision)
    if ref is None:
        raise UsageError(
            f"“{shown(wanted.label, 100)}” is no repository of a Hub.",
            "Write org/name, datasets/org/name, or either with @revision.",
        )
    if resources.mirror.upstream(wanted.name).mode_of(wanted.name) == "catalog":
        raise StateConflict(
            f"The mirror takes nothing in under the name {wanted.name}: its mode is `catalog`.",
            f"Take it in by hand: `weighbridge ingest {ref.uri}`. Or set `mode` in the mirror's file "
            "(WEIGHBRIDGE_MIRROR_CONFIG).",
            name=wanted.name,
        )
    if resources.catalog.origins(wanted.name) - {ref.origin}:
        raise StateConflict(
            f"The catalog has {wanted.name} from another source than the Hub.",
            "`weighbridge show` says from where: take it in from there.",
            name=wanted.name,
        )


def _started(wanted: WantedRepository, resources: Resources) -> Warmed:
    version = resources.catalog.get(wanted.label)
    if version is not None:
        return Warmed(wanted.label, "here", version.status, version.version)
    ref = reference(wanted.kind, wanted.name, wanted.revision)
    assert ref is not None
    user = process_user().removeprefix("cli:")
    return _warmed(begun(ref, wanted.label, Caller(user, "admin", kind="cli"), resources))


def wait(warmed: Sequence[Warmed], resources: Resources, progress: Progress) -> list[Warmed]:
    """Wait until every job has ended, doing jobs of the queue meanwhile as `serve` does, and return the ends."""
    open_jobs = {one.job for one in warmed if one.job and one.state in ("queued", "running")}
    jobs: dict[str, StoredJob] = {}
    threads, lease_s = max(1, resources.settings.serve_jobs), resources.settings.job_lease_s
    with JobWorker(resources, threads if open_jobs else 0, lease_s):
        seen: dict[str, tuple[int, int]] = {}
        while waiting := open_jobs - {id_ for id_, job in jobs.items() if job.ended}:
            for id_ in waiting:
                jobs[id_] = resources.catalog.jobs.get(id_)
            _tell(jobs.values(), seen, progress)
            time.sleep(_LOOK_S)
    return [_warmed(jobs[one.job]) if one.job in jobs else one for one in warmed]


def _tell(jobs: Collection[StoredJob], seen: dict[str, tuple[int, int]], progress: Progress) -> None:
    """Pass on by how much the steps of all jobs have grown."""
    for step in _STEPS:
        amounts = [found for job in jobs if (found := _amount(job.progress, step))]
        total, done = sum(one[0] for one in amounts), sum(one[1] for one in amounts)
        known, did = seen.get(step, (0, 0))
        if total > known:
            progress.expect(step, total - known)
        if done > did:
            progress.advance(step, done - did)
        seen[step] = max(total, known), max(done, did)
        running = [job.order.name for job in jobs if job.state == "running"]
        if running and total:
            progress.say(step, ", ".join(running))


def _amount(progress: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    for step in progress.get("steps", ()):
        if step["name"] == name and step["unit"] == BYTES and step["total"]:
            return step["total"], step["done"]
    return None


def _warmed(job: StoredJob) -> Warmed:
    known = Warmed(job.order.name, job.state, job=job.id)
    if job.end is None:
        return known
    problem = f"{job.end.problem} {job.end.remedy}".strip()
    return replace(known, status=job.end.status, version=job.end.version, problem=problem)
