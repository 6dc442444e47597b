"""Retrying: which failures a task is run again for, and when. The one place where that is said.

Not here: retries within a step, such as a transfer that resumes (weighbridge.transfer).
"""

from __future__ import annotations

from typing import Any, TypedDict

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.cache_policies import CachePolicy as _CachePolicy
from prefect.client.schemas.objects import State, TaskRun

from weighbridge.errors import WeighbridgeError


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
