"""Running one job of the queue: the ordinary chain on behalf of its asker, with the lease kept meanwhile.

The catalog hears of progress at most once a second, and says whether the job is still wanted; when it is not, the work
stops at the next chunk of a transfer or before the next step. Not here: which job is next (intake.job_worker).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, TypeVar

from weighbridge.catalog import JobEnd, StoredJob
from weighbridge.domain.next_version import contradiction
from weighbridge.domain.request import MODELS_FILE, IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import Cancelled, CatalogError
from weighbridge.intake import chain, declaring, quarantine
from weighbridge.intake.asker import Asker
from weighbridge.intake.chain import Direct
from weighbridge.intake.job import Job
from weighbridge.intake.job_orders import FOR_MIRROR
from weighbridge.intake.job_progress import STEPS, JobProgress
from weighbridge.intake.lookup import exact
from weighbridge.intake.prefect_jobs import ingest_by_prefect, run_server
from weighbridge.intake.resources import Resources
from weighbridge.intake.unexpected import foreseen
from weighbridge.intake.workspace import Workspace, workspace_of
from weighbridge.net.prefect_runs import PrefectRun

T = TypeVar("T")
#: Seconds between two looks at the catalog, and between two writes of progress.
INTERVAL_S = 1.0
#: Held while modules are imported: threads that import parts of one library at once meet halves of it.
_importing = Lock()
_log = logging.getLogger(__name__)


class _Steps(Direct):
    """Runs steps in threads of this process; before each one, the job has to be wanted still."""

    def __init__(self, progress: JobProgress, go_on: Callable[[], None]) -> None:
        super().__init__()
        self._progress, self._go_on = progress, go_on

    def call(self, step: Callable[..., T], *values: Any) -> T:
        """Run a step and return its result. Raises Cancelled."""
        self._go_on()
        self._progress.begin(step.__name__)
        return super().call(step, *values)


@dataclass
class JobRun:
    """One job that this process has taken.

    Attributes:
        job: the job.
        resources: those of the process.
        owner: the name under which the process took it.
        stopping: set when the process is about to end: the job then goes back to the queue.
        lease_s: seconds after which another process takes the job over, unless this one renews its lease.
    """

    job: StoredJob
    resources: Resources
    owner: str
    stopping: Event
    lease_s: float
    _progress: JobProgress = field(init=False)
    _run_url: str = field(init=False)

    def __post_init__(self) -> None:
        self._run_url = self.job.run_url  # Another process may have begun the run.
        self._progress = JobProgress(STEPS[self.job.order.kind], self.resources.received)

    def run(self) -> None:
        """Do the work and store what it came to; raises nothing but what ends the process.

        1. A verdict, whichever it is, is `done`; an error of the work is `failed`.
        2. A job that somebody wants to stop is `cancelled`; what it has received stays for the next attempt.
        3. Where the process ends meanwhile, the job waits again, and goes on where it was.
        """
        order = self.job.order
        asker = Asker(
            progress=self._progress,
            on_behalf=True,
            may_continue=True,
            actor=order.asker,
            for_mirror=bool(order.request.get(FOR_MIRROR)),
        )
        try:
            with workspace_of(self.resources, asker) as workspace, self._lease_kept(workspace.retrying.stopped):
                end = self._end(workspace)
            self._store(end)
        except CatalogError as error:  # The lease runs out, and the job is done again.
            _log.error("The job %s: %s", self.job.id, error)

    def _end(self, workspace: Workspace) -> JobEnd | None:
        try:
            return self._purged(workspace) if self.job.order.kind == "purge" else self._judged(workspace)
        except Exception as error:  # noqa: BLE001 (a bug that one job meets ends that job alone)
            if self.stopping.is_set():
                return None
            if isinstance(error, Cancelled) or workspace.retrying.stopped.is_set():
                return JobEnd("cancelled")
            known = foreseen(error, f"job {self.job.id}", workspace.settings.folder)
            return JobEnd(
                "failed",
                problem=known.problem,
                remedy=known.remedy,
                error=type(known).__name__,
                retryable=known.retryable,
            )

    def _purged(self, workspace: Workspace) -> JobEnd:
        name, numbers = self.job.order.request["name"], self.job.order.request["versions"]
        found = [workspace.catalog.get(name, number) for number in numbers]
        versions = [version for version in found if version is not None]
        with _Steps(self._progress, workspace.retrying.go_on) as steps:
            done = steps.call(quarantine.delete, versions, [workspace.asker.folder / MODELS_FILE], workspace).done
        warnings = []
        if done.waiting:
            warnings.append(f"{done.waiting:,} bytes are set aside, and deleted by a `weighbridge gc` an hour later.")
        if done.unread:
            warnings.append(
                f"{done.left:,} bytes are left to a later `weighbridge gc`: what work of another user relies on could "
                "not be read."
            )
        return JobEnd("done", "PURGED", warnings=tuple(warnings), freed=done.freed)

    def _judged(self, workspace: Workspace) -> JobEnd:
        version = self._version(workspace)
        said = declaring.keep(workspace.catalog, version, self.job.order.declared, self.job.created_at)
        warnings = (*self._warnings(version), *said)
        return JobEnd("done", version.status, version.version, version.decision.reasons, warnings)

    def _version(self, workspace: Workspace) -> ModelVersion:
        content = self.job.order.request
        with _Steps(self._progress, workspace.retrying.go_on) as steps:
            if self.job.order.kind == "rescan":
                version = exact(workspace.catalog, content["name"], content["version"])
                with _importing:
                    workspace.import_ahead([IngestRequest(version.manifest.ref)])
                return chain.rescan(version, workspace, steps).version
            continues = bool(content.get("another_source"))  # A run's asker may not: this process does it itself.
            if not continues and (server := run_server(workspace.settings)):
                return ingest_by_prefect(self.job, server, workspace, lambda: not self.stopping.is_set(), self._hear)
            request = IngestRequest.from_json(content)
            with _importing:
                workspace.import_ahead([request])
            return chain.ingest(Job.of(request, workspace), steps).version

    def _hear(self, run: PrefectRun, step: str) -> None:
        self._run_url = run.url
        self._progress.begin(step)

    def _warnings(self, version: ModelVersion) -> tuple[str, ...]:
        """Return the contradiction between a number that the asker gave and what changed."""
        if self.job.order.kind != "ingest" or not self.job.order.request.get("version"):
            return ()
        numbers = [one.version for one in self.resources.catalog.lists.versions(version.name)]
        earlier = numbers[numbers.index(version.version) + 1 :] if version.version in numbers else []
        if not earlier:
            return ()
        before = self.resources.catalog.get(version.name, earlier[0])
        if before is None:
            return ()
        previous = (before.version, before.card, before.manifest)
        told = contradiction(previous, version.card, version.manifest, version.version)
        return (told,) if told else ()

    def _store(self, end: JobEnd | None) -> None:
        queue = self.resources.catalog.jobs
        if end is None:
            queue.give_back(self.job.id, self.owner)
        else:
            queue.end(self.job.id, self.owner, end, self._written(ended=True))

    def _written(self, *, ended: bool = False) -> dict[str, Any]:
        return {"status": self._progress.status, "steps": self._progress.to_json(ended=ended)}

    @contextmanager
    def _lease_kept(self, stopped: Event) -> Iterator[None]:
        """Keep the lease while the block runs; set `stopped` when the job is not wanted any more."""
        ended = Event()
        thread = Thread(target=self._keep_lease, args=(ended, stopped), name=f"lease-{self.job.id[:8]}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _keep_lease(self, ended: Event, stopped: Event) -> None:
        queue, renewed_at = self.resources.catalog.jobs, time.monotonic()
        written: dict[str, Any] = {}
        while not ended.wait(min(INTERVAL_S, self.lease_s / 3)):
            try:
                if self.stopping.is_set() or not queue.is_wanted(self.job.id, self.owner):
                    stopped.set()
                now, progress = time.monotonic(), self._written()
                if progress != written or now - renewed_at > self.lease_s / 3:
                    changes = {"progress": progress, "run_url": self._run_url}
                    queue.renew(self.job.id, self.owner, self.lease_s, changes)
                    renewed_at, written = now, progress
            except CatalogError as error:
                _log.warning("The lease of the job %s: %s", self.job.id, error)
