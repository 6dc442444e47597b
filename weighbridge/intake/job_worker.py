"""The worker of a process: threads that take jobs from the queue and run them, until the process ends.

Not here: one job's work (intake.job_run), and who asks for jobs (intake.job_orders).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

from weighbridge.catalog import StoredJob
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.job_run import JobRun
from weighbridge.intake.resources import Resources
from weighbridge.intake.unexpected import foreseen

#: Seconds between two looks at an empty queue, which other processes fill, too.
POLL_S = 1.0
#: Seconds to wait for running jobs when the process ends; the lease of one that takes longer runs out by itself.
STOP_S = 10.0
_log = logging.getLogger(__name__)


class JobWorker:
    """Works through the queue while its context lasts.

    Args:
        resources: those of the process.
        threads: jobs at once; with none, other processes do the work.
        lease_s: seconds after which another process takes over what this one no longer works on.
    """

    def __init__(self, resources: Resources, threads: int, lease_s: float) -> None:
        self._resources, self._lease_s = resources, lease_s
        self._stopping, self._woken = Event(), Event()
        self._threads = [Thread(target=self._work, name=f"job-{n}", daemon=True) for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._woken.set()
        end = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def wake(self) -> None:
        """Look at the queue at once: a job was added to it."""
        self._woken.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
            job = self._take(owner)
            if job is not None:
                self._run(JobRun(job, self._resources, owner, self._stopping, self._lease_s))
            elif self._woken.wait(POLL_S):
                self._woken.clear()

    def _run(self, one: JobRun) -> None:
        try:
            one.run()
        except Exception as error:  # noqa: BLE001 (its lease runs out, and the thread goes on with other jobs)
            work, folder = f"job {one.job.id}", self._resources.settings.folder
            _log.error("The %s: %s", work, foreseen(error, work, folder))

    def _take(self, owner: str) -> StoredJob | None:
        try:
            return self._resources.catalog.jobs.take(owner, self._lease_s)
        except WeighbridgeError as error:
            _log.error("The queue of jobs: %s", error)
            return None
