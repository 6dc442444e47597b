"""The worker of a process: threads that take jobs from the queue and run them, until the process ends.

Not here: one job's work (intake.job_run), and who asks for jobs (intake.job_orders).
"""

from __future__ import annotations

import logging
from threading import Lock

from weighbridge.catalog import StoredJob
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.queue_worker import QueueWorker
from weighbridge.intake.resources import Resources
from weighbridge.intake.unexpected import foreseen

#: Held while the work's modules are imported, so that two threads never import them at once.
_importing = Lock()
_log = logging.getLogger(__name__)


class JobWorker(QueueWorker):
    """Works through the queue of jobs while its context lasts.

    Args:
        resources: those of the process.
        threads: jobs at once; with none, other processes do the work.
        lease_s: seconds after which another process takes over what this one no longer works on.
    """

    def __init__(self, resources: Resources, threads: int, lease_s: float) -> None:
        super().__init__("job", threads)
        self._resources, self._lease_s = resources, lease_s

    def work_once(self, owner: str) -> bool:
        """Take a job and run it; return whether there was one."""
        job = self._take(owner)
        if job is not None:
            self._run(job, owner)
        return job is not None

    def _run(self, job: StoredJob, owner: str) -> None:
        try:
            with _importing:  # A server answers before it has imported what reads models: half of its start.
                from weighbridge.intake.job_run import JobRun

            JobRun(job, self._resources, owner, self.stopping, self._lease_s).run()
        except Exception as error:  # noqa: BLE001 (its lease runs out, and the thread goes on with other jobs)
            work, folder = f"job {job.id}", self._resources.settings.folder
            _log.error("The %s: %s", work, foreseen(error, work, folder))

    def _take(self, owner: str) -> StoredJob | None:
        try:
            return self._resources.catalog.jobs.take(owner, self._lease_s)
        except WeighbridgeError as error:
            _log.error("The queue of jobs: %s", error)
            return None
