"""Schedules of a Prefect server: the deployments that have one, and their next runs.

Not here: the requests (net.prefect_server), and the diagnosis when no run starts (intake.doctor_prefect).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from weighbridge.net.prefect_server import prefect_client

#: Deployments a page: the most that the server returns.
_PAGE = 200


@dataclass(frozen=True)
class Schedule:
    """A deployment with an active schedule.

    Attributes:
        deployment: `flow/deployment`.
        pool: the work pool whose workers execute its runs.
        next_run: the scheduled time of the earliest run that has not begun, ISO 8601; empty where there is none.
        late: whether that time has passed and no worker has taken it.
    """

    deployment: str
    pool: str
    next_run: str
    late: bool


def schedules(api_url: str, credentials: str = "") -> tuple[Schedule, ...]:
    """Return every deployment that has an active schedule and is not paused.

    Args:
        api_url: the server's URL, as in PREFECT_API_URL.
        credentials: `user:password`, or empty.

    Raises:
        InvalidConfiguration: it is not a URL.
        SourceUnavailable: the server does not answer, or not in Prefect's form.
    """
    with prefect_client(api_url, credentials) as client:
        return tuple(_schedule(client, found) for found in _deployments(client) if _is_scheduled(found))


def _deployments(client: httpx.Client) -> Iterator[dict[str, Any]]:
    offset = 0
    while True:
        page = _filter(client, "deployments", {"limit": _PAGE, "offset": offset})
        yield from page
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _is_scheduled(deployment: dict[str, Any]) -> bool:
    return not deployment["paused"] and any(schedule["active"] for schedule in deployment["schedules"])


def _schedule(client: httpx.Client, deployment: dict[str, Any]) -> Schedule:
    flow = client.get(f"/flows/{deployment['flow_id']}").raise_for_status().json()["name"]
    waiting = {"deployment_id": {"any_": [deployment["id"]]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    asked = {"flow_runs": waiting, "sort": "EXPECTED_START_TIME_ASC", "limit": 1}
    runs = _filter(client, "flow_runs", asked)
    first = runs[0] if runs else {"expected_start_time": "", "state_name": ""}
    return Schedule(
        deployment=f"{flow}/{deployment['name']}",
        pool=deployment["work_pool_name"] or "",
        next_run=first["expected_start_time"],
        late=first["state_name"] == "Late",
    )


def _filter(client: httpx.Client, what: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.post(f"/{what}/filter", json=asked).raise_for_status().json()
    return found
