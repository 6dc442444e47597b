"""The flow `benchmark` measures models that passed; each benchmark is a task, whose result is stored at once.

weighbridge.benchmarks.planning chooses the measurements; tasks.device_slots allows one benchmark at a time on a device.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import flow_run

from blocks import load_settings
from flows.announcements import ERROR, announced, log_tags
from flows.artifact_results import keep_comparison, keep_result
from flows.benchmark_form import SETTINGS, in_form
from flows.device_runner import device_runner
from flows.end_states import failed, measured
from flows.parameter_types import Benchmark
from flows.run_workspace import own_temporary_files, run_actor, settings_blocks
from tasks.benchmark import CANCEL_EVENT, Sealed
from tasks.benchmark import benchmark as benchmark_task
from weighbridge.benchmarks.offered_settings import taking
from weighbridge.benchmarks.planning import Measurement, compared, is_known, measurements
from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.domain.request import MODELS_FILE
from weighbridge.domain.result import BenchmarkResult
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.measuring import MeasureRequest, prepare
from weighbridge.intake.workspace import open_workspace


@dataclass
class MeasuredModels:
    """The outcome of a run: results, and the reason for each measurement without one."""

    results: list[tuple[Measurement, BenchmarkResult]] = field(default_factory=list)
    failures: list[tuple[Measurement, str]] = field(default_factory=list)


def _run_name() -> str:
    return f"benchmark {flow_run.parameters.get('name') or 'what is new'}"


@flow(
    name="benchmark",
    flow_run_name=_run_name,
    description="Measure models that passed: their speed, memory and quality.",
    persist_result=False,
)
@taking(SETTINGS, in_form, before="models")
def benchmark(
    name: str = "",
    benchmarks: tuple[Benchmark, ...] = (),
    handler: str = "",
    device: str = "auto",
    models: str = MODELS_FILE,
    store_block: str = "",
    catalog_block: str = "",
    **chosen: Any,
) -> State[Any]:
    """Measure models that passed.

    Args:
        name: NAME or NAME@VERSION; everything that is new on this machine when empty.
        benchmarks: Which ones: inference_latency, throughput, …; those of models.yaml, else of the task, when empty.
        handler: Path of the handler's class, of ours or of models.yaml; that of the model or its task when empty.
        device: auto, cpu, cuda:0, or several separated by commas, which then work in parallel.
        models: The models file with each model's handler, in the worker's working directory, if there is one.
        store_block: Blob Store Folder block with the blobs; the worker's own settings when empty.
        catalog_block: Catalog Database block to keep results in; the worker's own settings when empty.
        shots: Examples before each document of an lm-eval task; -1 for the task's own number.
        data: NAME=PATH, a file or folder in one of the worker's file_roots instead of a data set of the Hub.
        judge_key_env: Environment variable of the worker that holds the judge's key; one of its token_places.
        **chosen: The settings of benchmarks, each as a parameter.

    Returns:
        One of the states of `flows.end_states`.
    """
    started = utc_now()
    try:
        devices = _devices(device)
        data = tuple(chosen.pop("data", ()))
        request = MeasureRequest(name, tuple(benchmarks), handler, devices[0], models, data, chosen)
        settings = Settings(**load_settings(settings_blocks("", "", store_block, catalog_block)))
        with own_temporary_files(), open_workspace(settings, on_behalf=True, actor=run_actor()) as workspace:
            catalog = workspace.catalog
            prepared = prepare(request, workspace)
            wanted = measurements(
                name,
                prepared.request,
                catalog,
                settings.store_folder,
                entries=prepared.entries,
                devices=devices,
                known=partial(is_known, catalog, devices[0]),
            )
            done = _measure(wanted, settings, len(devices), _keeper(catalog))
            keep_comparison(compared(catalog))
            tags = log_tags(catalog, [f"{one.model}@{one.version}" for one, _ in done.results], started)
    except WeighbridgeError as error:
        return announced(failed(error), [ERROR])
    return announced(measured(done.results, done.failures), of_models=tags)


def _devices(names: str) -> tuple[str, ...]:
    """Return the devices in a parameter, separated by commas; the best one of the machine when it is empty."""
    return tuple(found.strip() for found in names.split(",") if found.strip()) or ("auto",)


def _measure(
    wanted: Sequence[Measurement], settings: Settings, places: int, keep: Callable[[Measurement, BenchmarkResult], None]
) -> MeasuredModels:
    """Run a task for each measurement; a cancelled run first ends its running tasks.

    Raises:
        InvalidConfiguration: the chosen task runner is not installed.
    """
    done = MeasuredModels()
    if not wanted:
        return done
    cancel_event = threading.Event()
    token = CANCEL_EVENT.set(cancel_event)
    try:
        with device_runner(settings, min(places, len(wanted))) as runner:
            try:
                of_future = {runner.submit(benchmark_task, {"sealed": Sealed(one)}): one for one in wanted}
                for future in as_completed(list(of_future)):
                    _note(future, of_future[future], done, keep)
            except BaseException:  # Prefect cancels a run with its own exception in this thread.
                cancel_event.set()  # The runner waits for its threads, which wait for their children.
                raise
    finally:
        CANCEL_EVENT.reset(token)
    return done


def _note(
    future: PrefectFuture[Any],
    measurement: Measurement,
    done: MeasuredModels,
    keep: Callable[[Measurement, BenchmarkResult], None],
) -> None:
    found = future.result(raise_on_failure=False)
    if isinstance(found, BenchmarkResult):
        keep(measurement, found)
        done.results.append((measurement, found))
    else:
        done.failures.append((measurement, str(found)))


def _keeper(catalog: Catalog) -> Callable[[Measurement, BenchmarkResult], None]:
    """Return a function that stores each result in the catalog and in artifacts of the run."""

    def keep(measurement: Measurement, result: BenchmarkResult) -> None:
        catalog.add_result(result)
        keep_result(measurement, result)

    return keep
