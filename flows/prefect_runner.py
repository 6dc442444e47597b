"""A runner that runs steps as Prefect tasks, so that Prefect shows the one chain of weighbridge.intake.chain.

Not here: the order of the steps, or which function a task calls (tasks).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.futures import PrefectConcurrentFuture, PrefectFuture
from prefect.utilities.annotations import opaque, quote

from tasks import TASKS
from weighbridge.intake.chain import Pending

T = TypeVar("T")

#: Threads for tasks of one run. A scan waits in a thread for its fetch, and each file of 32 MiB or more has both; the
#: settings `connections` and `scan_slots` limit how many files are received and scanned in parallel.
THREADS = 16


class PrefectRunner:
    """Runs steps as tasks of the present flow run; satisfies `weighbridge.intake.chain.Runner`.

    Values are wrapped so that Prefect neither walks through them (a manifest may name 100,000 files) nor copies them
    (a workspace holds locks and connections).

    Leave it before the workspace closes: leaving waits for running tasks, and after an error no other task starts.
    """

    def __init__(self) -> None:
        self._submitted: list[PrefectConcurrentFuture[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for future in self._submitted:
                future.wrapped_future.cancel()
        wait(future.wrapped_future for future in self._submitted)

    def call(self, step: Callable[..., T], *values: Any) -> T:
        """Run a step's task and return its result."""
        state = cast("State[T]", TASKS[step](*(_wrapped(value) for value in values), return_state=True))
        return state.result()  # Raises the error that a task ended with.

    def submit(self, step: Callable[..., T], *values: Any) -> Pending[T]:
        """Start a step's task in a thread; it waits for its pending values.

        Threads are assigned in the order of submission and a task waits only for earlier ones, so it cannot wait for a
        task without a thread.
        """
        future = cast("PrefectConcurrentFuture[T]", TASKS[step].submit(*(_wrapped(value) for value in values)))
        self._submitted.append(future)
        return cast(Pending[T], future)


def _wrapped(value: Any) -> Any:
    return opaque(value) if isinstance(value, PrefectFuture) else quote(value)
