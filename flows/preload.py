"""The flow `preload` puts chosen models of models.yaml that passed the gate into the worker's Hugging Face cache.

Runs of `ingest` take missing models in. It puts in all models or none: weighbridge.intake.preloading has the reason.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.announcements import ERROR, announced
from flows.artifact_progress import ArtifactProgress
from flows.artifact_results import keep_preloaded
from flows.end_states import failed, outcome_of, preloaded
from flows.ingest import ingest
from flows.run_workspace import run_workspace, settings_blocks
from weighbridge.domain.request import MODELS_FILE, IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.preloading import PreloadRequest
from weighbridge.intake.preloading import preload as preload_models


def _run_name() -> str:
    return f"preload {flow_run.parameters.get('only', '')}".strip()


@flow(
    name="preload",
    flow_run_name=_run_name,
    description="Put models that passed into the Hugging Face cache of the worker.",
    persist_result=False,
)
def preload(
    only: str,
    models: str = MODELS_FILE,
    download: bool = True,
    mlflow_block: str = "",
    clamav_block: str = "",
    store_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Put models into the cache of the worker's HF_HOME, for programs that load them there.

    Args:
        only: Names of the models, separated by commas.
        models: The list of wanted models, in the worker's working directory; models.local.yaml beside it overrides.
        download: Take in what is missing; otherwise the run fails with the list of it.
        mlflow_block: MLflow Server block to publish to; the worker's own settings when empty.
        clamav_block: ClamAV Daemon block to scan with; the worker's own settings when empty.
        store_block: Blob Store Folder block to keep blobs in; the worker's own settings when empty.
        catalog_block: Catalog Database block to keep facts in; the worker's own settings when empty.

    Returns:
        One of the states of `flows.end_states`.
    """
    blocks = settings_blocks(mlflow_block, clamav_block, store_block, catalog_block)
    try:
        with ArtifactProgress("cache") as progress, run_workspace(blocks, progress, models) as workspace:

            def ingest_one(request: IngestRequest) -> ModelVersion:
                return outcome_of(ingest(**request.to_json(), return_state=True), workspace.catalog).version

            done = preload_models(PreloadRequest(only, models, download), workspace, ingest_one)
    except WeighbridgeError as error:
        return announced(failed(error), [ERROR])
    keep_preloaded(done)
    return preloaded(done)
