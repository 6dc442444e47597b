"""Failing steps: Prefect's state of a step that could not do its work, and when the step is retried.

Not here: retries within a step, such as a transfer that resumes (weighbridge.net.transfer).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypedDict, TypeVar, cast

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.cache_policies import CachePolicy as _CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.states import Failed

from weighbridge.errors import WeighbridgeError
from weighbridge.views.step_lines import lines_of

P = ParamSpec("P")
T = TypeVar("T")


class TaskOptions(TypedDict):
    """The options that every task of Weighbridge is declared with."""

    cache_policy: _CachePolicy
    persist_result: bool
    retries: int
    retry_delay_seconds: list[float]
    retry_jitter_factor: float
    retry_condition_fn: Any


def may_succeed_later(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a failed task is retried: only for errors that are marked as retryable."""
    return isinstance(state.data, WeighbridgeError) and state.data.retryable


#: Prefect caches and stores nothing: the store and the catalog know by digest what was done, and a job holds
#: credentials that must not leave the process.
OPTIONS: TaskOptions = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": 2,
    "retry_delay_seconds": [2.0, 10.0],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_succeed_later,
}


def attempt(step: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """Return a step's result and log it, or return the failed state with the step's error.

    Prefect uses a state that a task returns as the task's own, and raises its error for the caller that reads the
    result. A raised error would be logged with a traceback, which is for bugs only.
    """
    try:
        result = step(*values, **named)
    except WeighbridgeError as error:
        return cast(T, Failed(message=str(error), data=error))
    with suppress(MissingContextError):  # There is no log outside of a run.
        logger = get_run_logger()
        for line in lines_of(step, result):
            logger.info("%s", line)
    return result
