"""The task that settles a version and makes it visible. The step itself is `weighbridge.intake.steps.publish`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.report import ScanReport
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import steps
from weighbridge.intake.job import Job

#: The result of settling a version; a run's graph must not show that a rejected model was published.
_VERBS = {"PASSED": "publish", "FAILED": "quarantine", "SKIPPED": "withhold"}


def _name(parameters: dict[str, Any]) -> str:
    return f"{_VERBS[parameters['decision'].verdict]} {parameters['job'].request.model}"


@task(name="settle", task_run_name=_name, **OPTIONS)  # type: ignore[arg-type]  # Prefect types its callable as a class.
def publish(
    job: Job, manifest: Manifest, reports: Iterable[Sequence[ScanReport]], card: ModelCard, decision: Decision
) -> ModelVersion:
    """Settle the version in the catalog and, when it passed, make it visible in the registries."""
    return attempt(steps.publish, job, manifest, reports, card, decision)
