"""The task that scans a group of files in the store. The step itself is `weighbridge.intake.steps.scan`."""

from __future__ import annotations

from typing import Any

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.report import ScanReport
from weighbridge.intake import steps
from weighbridge.intake.job import Job, Received


def _name(parameters: dict[str, Any]) -> str:
    paths = [entry.path for entry in parameters["received"].files]
    first = paths[0][-80:] if paths else "nothing"
    return f"scan {first}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


@task(name="scan", task_run_name=_name, **OPTIONS)  # type: ignore[arg-type]  # Prefect types its callable as a class.
def scan(job: Job, received: Received) -> tuple[ScanReport, ...]:
    """Scan files that are in the store."""
    return attempt(steps.scan, job, received)
