"""The task runner that distributes the benchmarks of a run: threads of the worker, or a cluster of Dask or Ray.

Each benchmark is always a separate process, so threads are enough for all the cards of one machine. A cluster is for
the cards of several machines, which share the folder of the blobs.
"""

from __future__ import annotations

from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from weighbridge.config.settings import Settings
from weighbridge.domain.extras import install_command
from weighbridge.errors import InvalidConfiguration


def device_runner(settings: Settings, places: int) -> TaskRunner[Any]:
    """Return the task runner of the settings.

    Args:
        settings: `task_runner` and `task_cluster`.
        places: the number of parallel benchmarks; an existing cluster has its own number.

    Raises:
        InvalidConfiguration: its package is not installed.
    """
    try:
        match settings.task_runner:
            case "dask":
                return _dask(settings.task_cluster, places)
            case "ray":
                return _ray(settings.task_cluster, places)
    except ImportError as error:
        raise InvalidConfiguration(
            f"WEIGHBRIDGE_TASK_RUNNER is {settings.task_runner}, and {error.name} is not installed.",
            install_command(settings.task_runner),
        ) from error
    return ThreadPoolTaskRunner(max_workers=places)


def _dask(address: str, places: int) -> TaskRunner[Any]:
    from prefect_dask.task_runners import DaskTaskRunner

    if address:
        return DaskTaskRunner(address=address)
    kwargs = {"n_workers": places, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs=kwargs)


def _ray(address: str, places: int) -> TaskRunner[Any]:
    from prefect_ray.task_runners import RayTaskRunner

    local = {"num_cpus": places, "include_dashboard": False}
    runner: TaskRunner[Any] = RayTaskRunner(address=address) if address else RayTaskRunner(init_kwargs=local)
    return runner
