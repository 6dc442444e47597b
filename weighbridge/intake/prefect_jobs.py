"""Jobs that a Prefect server's workers do: the deployment `ingest/on-demand` is started and followed to its end.

A process that follows a run may be killed: the next one starts the run with the same key, and finds the one there is.
Not here: jobs that the process does itself (intake.job_run).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from weighbridge.catalog import StoredJob
from weighbridge.config.settings import Settings
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import Cancelled, SourceUnavailable, WeighbridgeError
from weighbridge.intake.job_orders import FOR_MIRROR
from weighbridge.intake.workspace import Workspace
from weighbridge.net.prefect_runs import PrefectRun, RunServer

DEPLOYMENT = "ingest/on-demand"
#: Seconds between two looks at a run, and how many of them in a row may fail.
LOOK_S, _MOST_FAILURES = 2.0, 150
#: Steps that the catalog's record of an attempt tells of.
_STEPS = {"FETCHING": "fetch", "SCANNING": "scan"}


def run_server(settings: Settings) -> RunServer | None:
    """Return the Prefect server that does the jobs, or None where this process does them itself."""
    url = os.environ.get("PREFECT_API_URL", "")
    if settings.via == "direct" or not url:
        return None
    return RunServer(url, os.environ.get("PREFECT_API_AUTH_STRING", ""))


def ingest_by_prefect(
    job: StoredJob,
    server: RunServer,
    workspace: Workspace,
    is_unwanted: Callable[[], bool],
    heard: Callable[[PrefectRun, str], None],
) -> ModelVersion:
    """Have a Prefect worker take a model in, and return the settled version.

    Args:
        job: the job.
        server: the server.
        workspace: that of the job's asker; `retrying.stopped` ends the wait.
        is_unwanted: tells, once the wait has ended, whether the run is to be cancelled, too.
        heard: is called with the run and the step that it is at, at each look.

    Raises:
        Cancelled: the wait was ended, or the run cancelled.
        WeighbridgeError: the run could not do the work.
    """
    parameters = {name: value for name, value in job.order.request.items() if value and name != FOR_MIRROR}
    run = workspace.retrying.call(lambda: server.start(DEPLOYMENT, parameters, job.id))
    failures = 0
    while not run.ended:
        heard(run, _step(job, run, workspace))
        try:
            workspace.retrying.pause(LOOK_S)
        except Cancelled:
            if is_unwanted():
                server.cancel(run)
            raise
        try:
            run, failures = server.look(run), 0
        except SourceUnavailable:
            failures += 1
            if failures >= _MOST_FAILURES:
                raise
    heard(run, "publish")
    return _version(job, run, workspace)


def _step(job: StoredJob, run: PrefectRun, workspace: Workspace) -> str:
    attempts = workspace.catalog.ingests(job.order.name, run=run.id, limit=1)
    return _STEPS.get(attempts[0].status, "resolve") if attempts else "resolve"


def _version(job: StoredJob, run: PrefectRun, workspace: Workspace) -> ModelVersion:
    """Return the version that the run settled, by the catalog's record of its attempt."""
    if run.state == "CANCELLED":
        raise Cancelled("The run was cancelled in Prefect.")
    for attempt in workspace.catalog.ingests(job.order.name, run=run.id):
        version = workspace.catalog.get(job.order.name, attempt.version) if attempt.version else None
        if version is not None:
            if workspace.asker.for_mirror:  # The run does not know who asked.
                workspace.catalog.update_ingest(attempt.id, attempt.status, cause="mirror")
            return version
    raise WeighbridgeError(run.message or f"The run ended as {run.state}.", f"Its log says more: {run.url}")
