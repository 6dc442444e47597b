"""What a run tells others: tags of the run, and an event about each model, on which automations act."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from flows.announcements import ERROR, REGRESSED, announced, log_tags
from flows.end_states import end_state
from tests.catalog.test_results import result, settle
from weighbridge.catalog import Catalog
from weighbridge.domain.clock import utc_now

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]


@flow(name="telling", persist_result=False)
def telling(tags: tuple[str, ...], of_models: dict[str, tuple[str, ...]]) -> State[Any]:
    return announced(end_state(good=True, message="Done.", data=None), tags, of_models)


def told(tags: tuple[str, ...], of_models: dict[str, tuple[str, ...]]) -> tuple[set[str], set[tuple[str, str, str]]]:
    """Run the flow; return the run's tags, and of each event its name, the resource and the model."""
    run = telling(tags, of_models, return_state=True).state_details.flow_run_id
    assert isinstance(run, UUID)
    wanted = {
        "event": {"prefix": ["weighbridge."]},
        "related": {"id": [f"prefect.flow-run.{run}"]},
        "occurred": {"since": "2020-01-01T00:00:00Z"},
    }
    count, deadline = (ERROR in tags) + sum(map(len, of_models.values())), time.monotonic() + 30
    with get_client(sync_client=True) as client:
        kept = set(client.read_flow_run(run).tags)
        while True:
            events = client.request("POST", "/events/filter", json={"filter": wanted}).json()["events"]
            if len(events) >= count or time.monotonic() > deadline:
                break
            time.sleep(0.3)  # They are written some seconds after they were sent.
    return kept, {(one["event"], one["resource"]["prefect.resource.id"], one["payload"]["model"]) for one in events}


def test_each_model_of_a_night_is_named() -> None:
    kept, events = told((), {"org/one": (REGRESSED,), "two": (REGRESSED, "withdrawn")})
    assert kept == {"regressed", "withdrawn"}
    assert events == {
        ("weighbridge.model.regressed", "weighbridge.model.org/one", "org/one"),
        ("weighbridge.model.regressed", "weighbridge.model.two", "two"),
        ("weighbridge.model.withdrawn", "weighbridge.model.two", "two"),
    }


def test_of_the_whole_run_only_the_error_is_an_event() -> None:
    kept, events = told(("verdict:passed", ERROR), {})
    assert kept == {"verdict:passed", "error"}
    assert events == {("weighbridge.telling.failed", "weighbridge.flow.telling", "")}


def test_what_the_log_tells_of_each_model(tmp_path: Path) -> None:
    started = utc_now()
    with closing(Catalog.open(f"sqlite:///{tmp_path}/catalog.db", utc_now)) as catalog:
        for name in ("a/b", "same"):
            one, two = settle(catalog, "1.0.0", f"{name}1", name), settle(catalog, "1.1.0", f"{name}2", name)
            catalog.add_result(result(one, 1.0))
            catalog.add_result(result(two, 1.5 if name == "a/b" else 1.0))
        subjects = ["a/b@1.0.0", "a/b@1.1.0", "same@1.1.0"]
        assert log_tags(catalog, subjects, started) == {"a/b": (REGRESSED,)}
        assert log_tags(catalog, subjects, utc_now() + timedelta(days=1)) == {}
