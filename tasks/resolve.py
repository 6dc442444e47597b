"""The task that asks the source what the model is now. The step itself is `weighbridge.intake.steps.resolve`."""

from __future__ import annotations

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.manifest import Manifest
from weighbridge.intake import steps
from weighbridge.intake.job import Job


@task(name="resolve", task_run_name="resolve {job.request.model}", **OPTIONS)
def resolve(job: Job) -> Manifest:
    """Ask the source what the model is now."""
    return attempt(steps.resolve, job)
