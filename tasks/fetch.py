"""The task that fetches a group of files into the store. The step itself is `weighbridge.intake.steps.fetch`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task

from tasks.failing import OPTIONS, attempt
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.intake import steps
from weighbridge.intake.job import Job, Received


def _name(parameters: dict[str, Any]) -> str:
    first, *others = (entry.path for entry in parameters["wanted"])
    return f"fetch {first[-80:]}" + (f" and {len(others)} more" if others else "")


@task(name="fetch", task_run_name=_name, **OPTIONS)  # type: ignore[arg-type]  # Prefect types its callable as a class.
def fetch(job: Job, declared: Manifest, wanted: Sequence[FileEntry]) -> Received:
    """Fetch some files of a declared manifest into the store; a retry keeps what arrived before."""
    return attempt(steps.fetch, job, declared, wanted)
