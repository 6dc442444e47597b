"""The task that resolves a model at its source. The step itself is `weighbridge.intake.steps.resolve`."""

from __future__ import annotations

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.manifest import Manifest
from weighbridge.intake import steps
from weighbridge.intake.job import Job


@task(name="resolve", task_run_name="resolve {job.request.model}", **OPTIONS)
def resolve(job: Job) -> Manifest:
    """Return the model's current manifest at its source."""
    return attempt(steps.resolve, job)
