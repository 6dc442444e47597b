"""The flow `sync` checks every model of models.yaml once and takes each changed one in with a run of `ingest`.

weighbridge.intake.syncing decides what is unchanged. A model that did not change has no run and no task of its own.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.announcements import ERROR, announced, sync_tags
from flows.artifact_progress import ArtifactProgress
from flows.artifact_report import keep_sync
from flows.end_states import failed, outcome_of, synced
from flows.ingest import ingest
from flows.run_workspace import run_workspace, settings_blocks
from weighbridge.domain.request import MODELS_FILE
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.chain import Outcome
from weighbridge.intake.job import Job
from weighbridge.intake.syncing import SyncRequest
from weighbridge.intake.syncing import sync as sync_models


def _run_name() -> str:
    return f"sync {flow_run.parameters.get('models', '')}".strip()


@flow(
    name="sync",
    flow_run_name=_run_name,
    description="Take in every model of models.yaml that changed upstream.",
    persist_result=False,
)
def sync(
    models: str = MODELS_FILE,
    only: str = "",
    locked: bool = False,
    mlflow_block: str = "",
    clamav_block: str = "",
    store_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Take in every model that changed; a failure of one does not stop the others.

    Args:
        models: The list of wanted models, in the worker's working directory; models.local.yaml beside it overrides.
        only: Names of the models to check, separated by commas; all when empty.
        locked: Accept exactly what models.lock holds.
        mlflow_block: MLflow Server block to publish to; the worker's own settings when empty.
        clamav_block: ClamAV Daemon block to scan with; the worker's own settings when empty.
        store_block: Blob Store Folder block to keep blobs in; the worker's own settings when empty.
        catalog_block: Catalog Database block to keep facts in; the worker's own settings when empty.

    Returns:
        One of the states of `flows.end_states`.
    """
    blocks = settings_blocks(mlflow_block, clamav_block, store_block, catalog_block)
    try:
        with ArtifactProgress("models") as progress, run_workspace(blocks, progress, models) as workspace:

            def ingest_one(job: Job) -> Outcome:
                return outcome_of(ingest(**job.request.to_json(), return_state=True), workspace.catalog)

            done = sync_models(SyncRequest(models, only, locked), workspace, ingest_one)
    except WeighbridgeError as error:
        return announced(failed(error), [ERROR])
    keep_sync(done)
    return announced(synced(done), sync_tags(done))
