"""The task that judges a model under a policy. The step itself is `weighbridge.intake.steps.decide`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.report import ScanReport
from weighbridge.intake import steps
from weighbridge.intake.job import Job


@task(name="decide", task_run_name="decide {job.request.model}", **OPTIONS)
def decide(job: Job, manifest: Manifest, reports: Iterable[Sequence[ScanReport]], card: ModelCard) -> Decision:
    """Judge the model under the job's policy."""
    return attempt(steps.decide, job, manifest, reports, card)
