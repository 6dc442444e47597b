"""Flows run inside the calling process, as the command line does.

Where PREFECT_API_URL names a server the run shows there; otherwise Prefect starts one for as long as the process lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from prefect.exceptions import PrefectException

from flows.end_states import outcome_of, sync_report_of
from flows.ingest import ingest, parameters_of
from flows.run_workspace import own_requests
from flows.sync import sync
from weighbridge.config.environment import without_passwords
from weighbridge.config.settings import Settings
from weighbridge.domain.progress import Progress
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.chain import Outcome
from weighbridge.intake.syncing import SyncReport
from weighbridge.intake.workspace import open_catalog


def run_ingest(request: IngestRequest, progress: Progress, *, locked: bool, models: Path) -> Outcome:
    """Take one model in by a run of the flow `ingest`.

    Raises:
        WeighbridgeError: what the run failed with.
    """
    with _prefect(), own_requests(progress):
        state = ingest(**parameters_of(request, locked=locked, models=str(models)), return_state=True)
    with open_catalog(Settings()) as catalog:
        return outcome_of(state, catalog)


def run_sync(models: Path, progress: Progress, *, locked: bool, only: str = "") -> SyncReport:
    """Take in what changed by a run of the flow `sync`.

    Raises:
        WeighbridgeError: what the run failed with.
    """
    with _prefect(), own_requests(progress):
        state = sync(models=str(models), only=only, locked=locked, return_state=True)
    with open_catalog(Settings()) as catalog:
        return sync_report_of(state, catalog)


@contextmanager
def _prefect() -> Iterator[None]:
    """Tell in one paragraph when Prefect cannot be used; what a flow itself raises is in its state."""
    try:
        yield
    except (PrefectException, httpx.HTTPError, RuntimeError) as error:
        raise WeighbridgeError(
            f"Prefect could not run the flow: {without_passwords(str(error)).rstrip('.')}.",
            "Check the server that PREFECT_API_URL names, or run with --via direct.",
        ) from error
