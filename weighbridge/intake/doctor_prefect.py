"""The doctor's checks of Prefect: whether the installed libraries fit it, and whether its schedules make runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version

from weighbridge.intake.doctor_check import DoctorCheck
from weighbridge.net.prefect_schedules import Schedule, schedules
from weighbridge.net.responses import shown

#: Prefect 3.8's scheduler stops silently with this version of SQLAlchemy: no schedule makes runs.
_SQLALCHEMY = (2, 1)
_MEND = "In the folder of Weighbridge's source: pip install -c constraints.txt 'sqlalchemy<2.1', then start it again"


def prefect_checks() -> Iterator[DoctorCheck]:
    """Yield the checks of Prefect.

    Raises:
        SourceUnavailable: PREFECT_API_URL names a server that does not answer.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    found = schedules(url, os.environ.get("PREFECT_API_AUTH_STRING", "")) if url else ()
    yield DoctorCheck("prefect", "ok", shown(url) if url else "no server: flows run in this process")
    sqlalchemy = version("sqlalchemy")
    if tuple(int(part) for part in sqlalchemy.split(".")[:2]) >= _SQLALCHEMY:
        problem = f"SQLAlchemy {sqlalchemy}: a Prefect server started from here makes no scheduled runs"
        yield DoctorCheck("prefect scheduler", "warning", problem, _MEND)
    yield from map(_check, found)


def _check(schedule: Schedule) -> DoctorCheck:
    name = f"schedule {schedule.deployment}"
    if not schedule.next_run:
        found = "active without a run to come: it has ended, is newer than a minute, or the scheduler does not work"
        return DoctorCheck(name, "warning", found, f"Where the server runs: {_MEND[0].lower()}{_MEND[1:]}")
    if schedule.late:
        found = f"its run of {schedule.next_run} is late: no worker took it"
        return DoctorCheck(name, "warning", found, f"prefect worker start --pool {schedule.pool or 'NAME'}")
    return DoctorCheck(name, "ok", f"next run {schedule.next_run}")
