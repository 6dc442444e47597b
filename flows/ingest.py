"""The flow `ingest` takes one model in, each step as a task. weighbridge.intake.chain has the steps and their order."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.announcements import ERROR, announced, outcome_tags
from flows.artifact_progress import ArtifactProgress
from flows.artifact_report import keep_report
from flows.benchmark_chain import measure_later
from flows.end_states import ended, failed
from flows.parameter_types import URI, BenchmarkOrDefault, Name, Policy, Registry
from flows.prefect_runner import THREADS, PrefectRunner
from flows.run_workspace import run_workspace, settings_blocks
from weighbridge.domain.clock import utc_now
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import MODELS_FILE, IngestRequest
from weighbridge.errors import UsageError, WeighbridgeError
from weighbridge.intake import chain
from weighbridge.intake.job import Job


def _run_name() -> str:
    """Return the name of a run, that of its model; an invalid URI is not shown, as it may hold a password."""
    parameters = flow_run.parameters
    try:
        return str(parameters.get("name") or ModelRef.parse(parameters["uri"]).name)
    except UsageError:
        return "unreadable URI"


@flow(
    name="ingest",
    flow_run_name=_run_name,
    description="Take one model in: fetch, verify, scan, describe, decide, publish.",
    task_runner=ThreadPoolTaskRunner(max_workers=THREADS),  # type: ignore[arg-type]
    persist_result=False,
)
def ingest(
    uri: URI,
    name: Name = "",
    policy: Policy = "",
    benchmarks: tuple[BenchmarkOrDefault, ...] = (),
    registries: tuple[Registry, ...] = (),
    version: str = "",
    hash: str = "",  # noqa: A002 (the word of models.yaml and of the command line)
    locked: bool = False,
    models: str = MODELS_FILE,
    token_env: str = "",
    token_file: str = "",
    auth_block: str = "",
    another_source: bool = False,
    mlflow_block: str = "",
    clamav_block: str = "",
    store_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Take one model in.

    Prefect stores parameters in clear text: they name the place of a secret and never hold one. Paths are relative to
    the worker's working directory. A person who asks a worker for this run may name only what its operator has released
    for others (docs/adr/0009), and may choose the host; so a secret goes only to the hosts that it is meant for.

    Args:
        uri: Where the model is: hf:org/name@rev, hf-dataset:org/name, xet:org/name, s3://bucket/prefix, mlflow:name/3,
            git+https://host/repo.git@v1#folder, https://host/model.gguf, ollama:llama2:7b, pypi:package==1.2,
            file:/path, mock:org/name. It holds no user and no password.
        name: The model's name here; the source's own name when empty.
        policy: A preset, or a file in the worker's working directory; the worker's own policy when empty.
        benchmarks: The benchmarks to run after it passed: names, or `default` for those of models.yaml or of its task;
            none when empty.
        registries: Where to publish; the worker's own settings when empty.
        version: The semantic version it gets; computed when empty.
        hash: The manifest digest it must have, or nar:sha256-… for the hash that Nix gives its tree; empty for any.
        locked: Accept exactly what models.lock holds.
        models: The models file beside the lock, in the worker's working directory.
        token_env: Environment variable of the worker that holds the source's token; one of its token_places.
        token_file: File of the worker that holds the source's token; one of its token_places.
        auth_block: Credentials block of the source's kind, such as Hub Credentials, S3 Credentials, Git Credentials or
            Web Credentials; or type/name for another one that fits, or secret/name.
        another_source: Continue a known name from another source; only for requests of the worker's operator.
        mlflow_block: MLflow Server block to publish to; the worker's own settings when empty.
        clamav_block: ClamAV Daemon block to scan with; the worker's own settings when empty.
        store_block: Blob Store Folder block to keep blobs in; the worker's own settings when empty.
        catalog_block: Catalog Database block to keep facts in; the worker's own settings when empty.

    Returns:
        One of the states of `flows.end_states`.
    """
    blocks, started = settings_blocks(mlflow_block, clamav_block, store_block, catalog_block), utc_now()
    try:
        request = IngestRequest.from_json(
            {
                "uri": uri,
                "name": name,
                "policy": policy,
                "registries": registries,
                "version": version,
                "hash": hash,
                "locked": locked,
                "models": models,
                "token_env": token_env,
                "token_file": token_file,
                "auth_block": auth_block,
                "another_source": another_source,
            }
        )
        with ArtifactProgress(request.model) as progress, run_workspace(blocks, progress) as workspace:
            with PrefectRunner() as runner:
                outcome = chain.ingest(Job.of(request, workspace), runner)
            tags = outcome_tags(outcome, workspace.catalog, started)
            keep_report(outcome, workspace.settings)
        if benchmarks and outcome.version.status == "PASSED":
            measure_later(outcome.version, benchmarks, models, store_block, catalog_block)
    except WeighbridgeError as error:
        return announced(failed(error), [ERROR])
    return announced(ended(outcome), of_models=tags)
