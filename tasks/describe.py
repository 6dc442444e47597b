"""The task that reads a model's card from its files. The step itself is `weighbridge.pipeline.describe`."""

from __future__ import annotations

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge import pipeline
from weighbridge.card import ModelCard
from weighbridge.manifest import Manifest
from weighbridge.pipeline import Job


@task(name="describe", task_run_name="describe {job.request.model}", **OPTIONS)
def describe(job: Job, manifest: Manifest) -> ModelCard:
    """Read the model's card."""
    return attempt(pipeline.describe, job, manifest)
