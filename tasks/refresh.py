"""The task that refreshes the Hub's catalogue. Not here: the refresh itself (weighbridge.intake.hub_refresh)."""

from __future__ import annotations

from prefect import task

from tasks.failing import OPTIONS, TaskOptions, attempt
from weighbridge.domain.hub_models import HubPass
from weighbridge.domain.refresh_request import RefreshRequest
from weighbridge.intake.hub_refresh import refresh
from weighbridge.intake.workspace import Workspace

#: Seconds before each further attempt, together longer than the lease of a run that was killed.
_OPTIONS: TaskOptions = {**OPTIONS, "retries": 3, "retry_delay_seconds": [10.0, 60.0, 660.0]}


@task(**_OPTIONS, task_run_name="refresh {request.kind}")
def refresh_catalogue(request: RefreshRequest, workspace: Workspace) -> HubPass:
    """Bring the catalogue of the Hub up to date, and return the refresh; each attempt goes on where the last ended."""
    return attempt(refresh, request, workspace)
