"""The flow `rescan`: looks at every blob of what passed that today's engines have not seen, and judges again.

It runs every night, on new signatures (the event `weighbridge.signatures.updated`), and on demand. The next run, on
any worker, resumes one that was killed. Not here: the work (weighbridge.intake.rescanning).
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.announcements import ERROR, WITHDRAWN, announced
from flows.artifact_progress import ArtifactProgress
from flows.artifact_rescan import keep_rescan
from flows.end_states import EndState, end_state, failed
from flows.recall_events import tell_recalls
from flows.run_workspace import run_workspace, settings_blocks
from weighbridge.domain.rescans import RescanRequest
from weighbridge.errors import CatalogUnavailable, WeighbridgeError
from weighbridge.intake.rescanning import RescanReport
from weighbridge.intake.rescanning import rescan as look_again
from weighbridge.views.rescan_tables import summary


@flow(
    name="rescan",
    flow_run_name="rescan",
    description="Look at what passed with today's engines, and judge it again.",
    persist_result=False,
)
def rescan(
    models: tuple[str, ...] = (),
    budget: str = "",
    share: str = "",
    whole: bool = False,
    mlflow_block: str = "",
    clamav_block: str = "",
    store_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Look at every blob that one of today's engines has not seen, and judge its versions again.

    Args:
        models: NAME or NAME@VERSION; every version that passed when empty.
        budget: How long blobs are begun, such as 2h or 30m; without end when empty.
        share: How much of the worker's processors is used at most, such as 50%; all of it when empty.
        whole: Scan with all signatures where a report of the new ones alone would do.
        mlflow_block: MLflow Server block to withdraw from; the worker's own settings when empty.
        clamav_block: ClamAV Daemon block to scan with; the worker's own settings when empty.
        store_block: Blob Store Folder block; the worker's own settings when empty.
        catalog_block: Catalog Database block; the worker's own settings when empty.

    Returns:
        Completed where all verdicts stand, also where the budget is over; else Failed, with the versions.
    """
    try:
        blocks = settings_blocks(mlflow_block, clamav_block, store_block, catalog_block)
        request = RescanRequest.of(tuple(models), budget, share, whole=whole)
        with ArtifactProgress("rescan") as progress, run_workspace(blocks, progress) as workspace:
            try:
                done = look_again(request, workspace)
            finally:
                tell_recalls(workspace.catalog)
    except CatalogUnavailable as error:
        if "owner" not in error.facts:
            return announced(failed(error), [ERROR])
        return end_state(good=True, message=f"Nothing done: {error.problem}", data={"running": error.facts["number"]})
    except WeighbridgeError as error:
        return announced(failed(error), [ERROR])
    keep_rescan(done)
    return _ended(done)


def _ended(done: RescanReport) -> EndState:
    word = "Failed" if done.open_gaps else "Quarantined" if done.rescan.changed else "Passed"
    state = end_state(good=done.whole, message=f"{word}: {summary(done)}", data=done.to_json())
    of_models = {one.partition("@")[0]: [WITHDRAWN] for one in done.rescan.changed}
    return announced(state, [ERROR] if done.open_gaps else [], of_models)
