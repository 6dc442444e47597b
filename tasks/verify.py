"""The task that compares received with declared files. The step itself is `weighbridge.intake.steps.verify`."""

from __future__ import annotations

from collections.abc import Iterable

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.manifest import Comparison, Manifest
from weighbridge.intake import steps
from weighbridge.intake.job import Job, Received


@task(name="verify", task_run_name="verify {job.request.model}", **OPTIONS)
def verify(job: Job, declared: Manifest, received: Iterable[Received]) -> tuple[Manifest, Comparison]:
    """Compare the received files with what the source, the pin and the lock declare."""
    return attempt(steps.verify, job, declared, received)
