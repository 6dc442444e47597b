"""The flow `apply_policy`: judges every version again under today's policy, from what scanners reported."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.announcements import ERROR, WITHDRAWN, announced
from flows.artifact_progress import ArtifactProgress
from flows.end_states import end_state, failed
from flows.recall_events import tell_recalls
from flows.run_workspace import run_workspace, settings_blocks
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.rejudging import apply_policy as apply_to_all
from weighbridge.views.text import counted

_MOST_NAMED = 10


@flow(
    name="apply_policy",
    flow_run_name="apply_policy",
    description="Judge every version again under today's policy; withdraw what does not pass any more.",
    persist_result=False,
)
def apply_policy(
    mlflow_block: str = "",
    clamav_block: str = "",
    store_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Judge every version again, as `weighbridge policy apply` does: no file is read, and nothing is scanned.

    Args:
        mlflow_block: MLflow Server block to withdraw from; the worker's own settings when empty.
        clamav_block: ClamAV Daemon block; nothing is scanned.
        store_block: Blob Store Folder block; the worker's own settings when empty.
        catalog_block: Catalog Database block whose versions are judged; the worker's own settings when empty.

    Returns:
        Completed, with what changed; Failed where a registry could not do its part yet.
    """
    try:
        blocks = settings_blocks(mlflow_block, clamav_block, store_block, catalog_block)
        with ArtifactProgress("policy") as progress, run_workspace(blocks, progress) as workspace:
            done = apply_to_all(workspace)
            tell_recalls(workspace.catalog)
    except WeighbridgeError as error:
        return announced(failed(error), [ERROR])
    recalled = [f"{flip.name}@{flip.version}" for flip in done.flips if flip.is_recall]
    names = f": {', '.join(recalled[:_MOST_NAMED])}" if recalled else ""
    message = (
        f"{counted(done.versions, 'version')} judged under {done.policy}, {done.reinstated} let in, "
        f"{done.withdrawn} withdrawn{names}."
    )
    if done.unfinished:
        message = f"{message} A registry is not done, and is tried again: {done.unfinished[0]}"
    of_models = {flip.name: [WITHDRAWN] for flip in done.flips if flip.is_recall}
    state = end_state(good=not done.unfinished, message=message, data=done.to_json())
    return announced(state, [ERROR] if done.unfinished else [], of_models)
