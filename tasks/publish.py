"""The task that settles a version and makes it visible. The step itself is `weighbridge.intake.steps.publish`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.report import ScanReport
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import steps
from weighbridge.intake.job import Job


@task(name="publish", task_run_name="publish {job.request.model}", **OPTIONS)
def publish(
    job: Job, manifest: Manifest, reports: Iterable[Sequence[ScanReport]], card: ModelCard, decision: Decision
) -> ModelVersion:
    """Settle the version in the catalog and, when it passed, make it visible in the registries."""
    return attempt(steps.publish, job, manifest, reports, card, decision)
