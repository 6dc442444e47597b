"""The task that judges a model under a policy. The step itself is `weighbridge.pipeline.decide`."""

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


@task(name="decide", task_run_name="decide {job.request.model}", **OPTIONS)
def decide(job: Job, manifest: Manifest, reports: Iterable[Sequence[ScanReport]], card: ModelCard) -> Decision:
    """Judge the model under the job's policy."""
    return attempt(pipeline.decide, job, manifest, reports, card)
