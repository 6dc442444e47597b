"""The task that holds what came against what was promised. The step itself is `weighbridge.pipeline.verify`."""

from __future__ import annotations

from collections.abc import Iterable

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge import pipeline
from weighbridge.manifest import Comparison, Manifest
from weighbridge.pipeline import Job, Received


@task(name="verify", task_run_name="verify {job.request.model}", **OPTIONS)
def verify(job: Job, declared: Manifest, received: Iterable[Received]) -> tuple[Manifest, Comparison]:
    """Hold what was received against what the source, the pin and the lock promised."""
    return attempt(pipeline.verify, job, declared, received)
