"""The task that settles a version and makes it visible. The step itself is `weighbridge.pipeline.publish`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge import pipeline
from weighbridge.card import ModelCard
from weighbridge.decision import Decision
from weighbridge.manifest import Manifest
from weighbridge.pipeline import Job
from weighbridge.report import ScanReport
from weighbridge.version import ModelVersion


@task(name="publish", task_run_name="publish {job.request.model}", **OPTIONS)
def publish(
    job: Job, manifest: Manifest, reports: Iterable[Sequence[ScanReport]], card: ModelCard, decision: Decision
) -> ModelVersion:
    """Settle the version in the catalog and, when it passed, make it visible in the registries."""
    return attempt(pipeline.publish, job, manifest, reports, card, decision)
