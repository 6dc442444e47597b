"""Failing: what Prefect is told of a step that could not do its work, and when the step is run again.

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
    """What every task of Weighbridge is declared with."""

    cache_policy: _CachePolicy
    persist_result: bool
    retries: int
    retry_delay_seconds: list[float]
    retry_jitter_factor: float
    retry_condition_fn: Any


def may_succeed_later(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task is worth another try: only for errors that say so themselves."""
    return isinstance(state.data, WeighbridgeError) and state.data.retryable


#: Nothing is cached or kept by Prefect: the store and the catalog know what was done, by digest, and a job holds
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
    """Return what a step returns and log what it came to, or return the failed state that says why it could not.

    Prefect takes a state that a task returns as the task's own, and raises the error in it to whoever asks for the
    result. An error that is raised would be logged with a traceback, which is for bugs only.
    """
    try:
        result = step(*values, **named)
    except WeighbridgeError as error:
        return cast(T, Failed(message=str(error), data=error))
    with suppress(MissingContextError):  # A task's function that is called outside of a run has no log.
        logger = get_run_logger()
        for line in lines_of(step, result):
            logger.info("%s", line)
    return result
