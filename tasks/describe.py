"""The task that reads a model's card from its files. The step itself is `weighbridge.intake.steps.describe`."""

from __future__ import annotations

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.card import ModelCard
from weighbridge.domain.manifest import Manifest
from weighbridge.intake import steps
from weighbridge.intake.job import Job


@task(name="describe", task_run_name="describe {job.request.model}", **OPTIONS)
def describe(job: Job, manifest: Manifest) -> ModelCard:
    """Read the model's card."""
    return attempt(steps.describe, job, manifest)
