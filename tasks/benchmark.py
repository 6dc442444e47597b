"""The task that measures a model: one benchmark on one device; `weighbridge.benchmarks.planning.measure` does the work.

It runs in a thread of the flow, or in another process or machine without access to the flow's memory: there it asks the
server whether its run is cancelled.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import TaskRunContext
from prefect.exceptions import PrefectException

from tasks.device_slots import chosen, occupied
from tasks.failing import attempt
from weighbridge.benchmarks import planning
from weighbridge.benchmarks.planning import Measurement
from weighbridge.domain.clock import utc_now
from weighbridge.domain.result import BenchmarkResult

#: The event with which the flow ends tasks in its threads.
CANCEL_EVENT: ContextVar[threading.Event | None] = ContextVar("cancel_event", default=None)
#: Seconds between two checks whether the run is cancelled.
ASK_S = 5.0


class Sealed:
    """A measurement that neither Prefect nor Dask walks through: a manifest may name 100,000 files.

    Prefect's own `quote` is a tuple, which Dask converts to a plain one.
    """

    def __init__(self, measurement: Measurement) -> None:
        self.measurement = measurement


def _name(parameters: dict[str, Any]) -> str:
    wanted = parameters["sealed"].measurement
    return f"{wanted.benchmark} {wanted.model} {wanted.version}".strip()


@task(name="benchmark", task_run_name=_name, cache_policy=NO_CACHE, persist_result=False)  # type: ignore[arg-type]
def benchmark(sealed: Sealed) -> BenchmarkResult:
    """Measure on this machine when the device is free.

    It is not retried: a failure of the model is a result, and a retry would measure twice.
    """
    return attempt(_measure, sealed.measurement)


def _measure(measurement: Measurement) -> BenchmarkResult:
    device = chosen(measurement.request.device)
    wanted = replace(measurement, request=replace(measurement.request, device=device))
    with _cancel_event() as event, occupied(device, event):
        return planning.measure(wanted, utc_now, event)


@contextmanager
def _cancel_event() -> Iterator[threading.Event]:
    """Yield the flow's event, or without one an event that is set when the server reports the end of the run."""
    shared = CANCEL_EVENT.get()
    if shared is not None:
        yield shared
        return
    event, over = threading.Event(), threading.Event()
    context = TaskRunContext.get()
    run = context.task_run.flow_run_id if context is not None else None
    if run is not None:
        threading.Thread(target=copy_context().run, args=(_watch, run, event, over), name="watch", daemon=True).start()
    try:
        yield event
    finally:
        over.set()


def _watch(run: UUID, event: threading.Event, over: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.wait(ASK_S):
            try:
                state = client.read_flow_run(run).state
            except (PrefectException, httpx.HTTPError):
                continue  # An unreachable server has cancelled nothing.
            if state is not None and (state.is_final() or state.is_cancelling()):
                event.set()
                return
