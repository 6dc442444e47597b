"""A runner that runs steps as Prefect tasks, so that the one chain of weighbridge.ingesting shows in Prefect.

Not here: the order of the steps, or which function a task calls (tasks).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from prefect.futures import PrefectFuture
from prefect.utilities.annotations import opaque, quote

from tasks import TASKS
from weighbridge.ingesting import Pending

T = TypeVar("T")

#: Threads for tasks of one run. A scan waits in a thread for its fetch, and each file of 32 MiB or more has both; how
#: many files are really received and scanned side by side is the settings' `connections` and `scan_slots`.
THREADS = 16


class PrefectRunner:
    """Runs steps as tasks of the present flow run; satisfies `weighbridge.ingesting.Runner`.

    Values are wrapped so that Prefect neither walks through them (a manifest may name 100,000 files) nor copies them
    (a workspace holds locks and connections).
    """

    def call(self, step: Callable[..., T], *values: Any) -> T:
        """Run a step's task and return its result."""
        return cast(T, TASKS[step](*(_wrapped(value) for value in values)))

    def submit(self, step: Callable[..., T], *values: Any) -> Pending[T]:
        """Start a step's task in a thread; it waits for the pending ones among its values.

        Threads are given out in the order of submission and a task waits only for earlier ones, so that none can wait
        for one that has no thread.
        """
        return cast(Pending[T], TASKS[step].submit(*(_wrapped(value) for value in values)))


def _wrapped(value: Any) -> Any:
    return opaque(value) if isinstance(value, PrefectFuture) else quote(value)
