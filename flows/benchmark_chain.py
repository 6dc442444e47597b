"""Starts a run of `benchmark` after a model passed, without waiting for it.

Where the server has the deployment, its workers run it, on machines with devices; elsewhere it is a subflow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectException

from flows.benchmark import benchmark
from weighbridge.domain.version import ModelVersion

_log = logging.getLogger(__name__)
DEPLOYMENT = "benchmark/on-demand"
#: The name for the benchmarks of models.yaml, or of the model's task.
DEFAULT = "default"


def measure_later(version: ModelVersion, benchmarks: Iterable[str], models: str, store: str, catalog: str) -> None:
    """Start the benchmarks of a version; an error is only logged, as the version has passed.

    Args:
        version: a PASSED one.
        benchmarks: names; `DEFAULT` for the model's own.
        models: the models file.
        store: Blob Store Folder block, or empty.
        catalog: Catalog Database block, or empty.
    """
    parameters: dict[str, Any] = {
        "name": f"{version.name}@{version.version}",
        "benchmarks": [name for name in benchmarks if name != DEFAULT],
        "models": models,
        "store_block": store,
        "catalog_block": catalog,
    }
    try:
        with get_client(sync_client=True) as client:
            client.read_deployment_by_name(DEPLOYMENT)
        run_deployment(DEPLOYMENT, parameters=parameters, timeout=0)
    except ObjectNotFound:
        benchmark(**parameters, return_state=True)
    except (PrefectException, httpx.HTTPError):
        _log.warning("a benchmark could not be asked for", extra={"model": version.name}, exc_info=True)
