"""Flows run inside the calling process, as the command line does.

Where PREFECT_API_URL names a server, it shows the run; otherwise Prefect starts one for the life of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.exceptions import PrefectException

from flows.end_states import outcome_of, sync_report_of
from flows.ingest import ingest
from flows.run_workspace import own_requests
from flows.sync import sync
from weighbridge.config.environment import without_passwords
from weighbridge.config.settings import Settings
from weighbridge.domain.progress import Progress
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.chain import Outcome
from weighbridge.intake.opening import open_catalog
from weighbridge.intake.syncing import SyncReport, SyncRequest


def run_ingest(request: IngestRequest, progress: Progress) -> Outcome:
    """Take one model in with a run of the flow `ingest`.

    Raises:
        WeighbridgeError: the error of the run.
    """
    with _prefect(), own_requests(progress):
        state = ingest(**request.to_json(), return_state=True)
    with open_catalog(Settings()) as catalog:
        return outcome_of(state, catalog)


def run_sync(request: SyncRequest, progress: Progress) -> SyncReport:
    """Take in the models that changed with a run of the flow `sync`.

    Raises:
        WeighbridgeError: the error of the run.
    """
    with _prefect(), own_requests(progress):
        state = sync(**vars(request), return_state=True)
    with open_catalog(Settings()) as catalog:
        return sync_report_of(state, catalog)


@contextmanager
def _prefect() -> Iterator[None]:
    """Convert an error of Prefect to one paragraph; an error of the flow itself is in its state."""
    try:
        yield
    except (PrefectException, httpx.HTTPError, RuntimeError) as error:
        raise WeighbridgeError(
            f"Prefect could not run the flow: {without_passwords(str(error)).rstrip('.')}.",
            "Check the server that PREFECT_API_URL names, or run with --via direct.",
        ) from error
