"""The flow `collect_garbage`: deletes the bytes that no version, no lock and no running work needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifact_progress import ArtifactProgress
from flows.end_states import end_state, failed
from flows.run_workspace import run_workspace, settings_blocks
from weighbridge.domain.request import MODELS_FILE
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.collecting import collect
from weighbridge.store.local import use_reserve
from weighbridge.views.text import bytes_text, counted


@flow(
    name="collect_garbage",
    flow_run_name="collect_garbage",
    description="Delete the bytes that no version, no lock and no running ingest needs.",
    persist_result=False,
)
def collect_garbage(
    dry_run: bool = False,
    older_than_days: int = 0,
    store_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Delete what nothing needs, as `weighbridge gc` does; it may run beside ingests, here and on other machines.

    Args:
        dry_run: Say what would be deleted, and delete nothing.
        older_than_days: Days for which bytes are kept, needed or not.
        store_block: Blob Store Folder block to collect in; the worker's own settings when empty.
        catalog_block: Catalog Database block that says what is needed; the worker's own settings when empty.

    Returns:
        Completed, with what was deleted; Failed where the catalog or a lock could not be read, so nothing was.
    """
    try:
        blocks = settings_blocks("", "", store_block, catalog_block)
        with ArtifactProgress("store") as progress, run_workspace(blocks, progress) as workspace:
            use_reserve(workspace.store.root)
            models = Path.cwd() / MODELS_FILE
            found = collect(workspace, (models,), older_than_days=max(0, older_than_days), dry_run=dry_run)
    except WeighbridgeError as error:
        return failed(error)
    done = found.done
    verb = "Would delete" if dry_run else "Deleted"
    message = f"{verb} {counted(done.blobs, 'blob')} of {bytes_text(done.size)}; {bytes_text(done.freed)} freed."
    if done.waiting:
        message = f"{message} {bytes_text(done.waiting)} wait for a run that comes at least an hour later."
    if done.unread:
        message = f"{message} {bytes_text(done.left)} are left: {counted(len(done.unread), 'lease')} could not be read."
    return end_state(good=True, message=message, data=found.to_json())
