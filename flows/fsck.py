"""The flow `fsck`: hashes every blob of the store again and compares registries with the catalog, byte for byte."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.announcements import ERROR, announced
from flows.artifact_progress import ArtifactProgress
from flows.artifact_report import keep_check
from flows.end_states import end_state, failed
from flows.run_workspace import run_workspace, settings_blocks
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.checking import CheckRequest, check
from weighbridge.views.text import counted


@flow(
    name="fsck",
    flow_run_name="fsck",
    description="Hash every blob again and compare registries with the catalog.",
    persist_result=False,
)
def fsck(
    registries: bool = True,
    mlflow_block: str = "",
    store_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Report what is damaged, missing, or wrongly published; `weighbridge fsck --repair` repairs it.

    Args:
        registries: Compare what registries list and serve with the catalog, too.
        mlflow_block: MLflow Server block to compare; the worker's own settings when empty.
        store_block: Blob Store Folder block to check; the worker's own settings when empty.
        catalog_block: Catalog Database block to compare with; the worker's own settings when empty.

    Returns:
        Completed where all of it agrees, else Failed; the table has each difference.
    """
    try:
        blocks = settings_blocks(mlflow_block, "", store_block, catalog_block)
        with ArtifactProgress("store") as progress, run_workspace(blocks, progress) as workspace:
            done = check(CheckRequest(registries=registries), workspace)
    except WeighbridgeError as error:
        return announced(failed(error), [ERROR])
    found, differences = done.found, done.differences
    keep_check(found, differences)
    blobs = f"{counted(found.blobs, 'blob')}, {len(found.damaged)} damaged, {len(found.missing)} missing"
    if done.whole:
        message = f"Passed: {blobs}; registries and catalog agree."
    else:
        first = f" {differences[0].model or differences[0].registry}: {differences[0].what}" if differences else ""
        mend = "`weighbridge fsck --repair` on the worker repairs it."
        message = f"Failed: {blobs}, {counted(len(differences), 'difference')}.{first} {mend}"
    return announced(end_state(good=done.whole, message=message, data=done.to_json()), [] if done.whole else [ERROR])
