"""Checks of the doctor, run side by side: one that hangs is a result of its own and delays no other.

Not here: the checks themselves (doctor, doctor_prefect, doctor_services).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Literal

from weighbridge.intake.unexpected import foreseen

State = Literal["ok", "warning", "missing"]
#: Seconds that a check of this machine may take.
LOCAL_LIMIT_S = 60.0


@dataclass(frozen=True)
class DoctorCheck:
    """The result of one check.

    Attributes:
        what: its name.
        state: `ok`, `warning` (it works with limits), or `missing`.
        found: what was found.
        mend: the command that fixes it, or empty.
    """

    what: str
    state: State
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Examination:
    """One thing to check.

    Attributes:
        what: the name of its result where it fails or hangs.
        look: yields the results.
        limit_s: seconds that it may take.
        server: the address of the server that is asked, as it may be shown; empty for a look at this machine.
        failed: the state where it fails or hangs.
    """

    what: str
    look: Callable[[], Iterable[DoctorCheck]]
    limit_s: float = LOCAL_LIMIT_S
    server: str = ""
    failed: State = "missing"


def side_by_side(examinations: Sequence[Examination], folder: Path) -> Iterator[DoctorCheck]:
    """Yield the results of all examinations in their order, each within its limit.

    Args:
        examinations: what is checked; each in a thread of its own, which the end of the process does not wait for.
        folder: the folder of all state, for tracebacks.
    """
    began = time.monotonic()
    running = [(one, _started(one)) for one in examinations]
    for one, future in running:
        wait([future], timeout=max(0.0, began + one.limit_s - time.monotonic()))
        yield from _results(one, future, folder)


def _started(one: Examination) -> Future[list[DoctorCheck]]:
    future: Future[list[DoctorCheck]] = Future()

    def work() -> None:
        try:
            future.set_result(list(one.look()))
        except Exception as error:  # noqa: BLE001 (it is the result of this examination alone)
            future.set_exception(error)

    Thread(target=copy_context().run, args=(work,), name=f"doctor {one.what}", daemon=True).start()
    return future


def _results(one: Examination, future: Future[list[DoctorCheck]], folder: Path) -> list[DoctorCheck]:
    where = f"{one.server}: " if one.server else ""
    if not future.done():
        mend = "Look at its log, and at the proxies and firewalls on the way" if one.server else ""
        return [DoctorCheck(one.what, one.failed, f"{where}no answer within {one.limit_s:g} s", mend)]
    error = future.exception()
    if not isinstance(error, Exception):
        return future.result()
    known = foreseen(error, f"doctor: {one.what}", folder)
    return [DoctorCheck(one.what, one.failed, known.problem, known.remedy)]
