"""The flow `refresh_hub` against a simulated Hub: what it leaves in Prefect, and events that are sent once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType

from flows import announcements
from flows.refresh_hub import refresh_hub
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import LAST_MS, GeneratedModels
from weighbridge.catalog.hub_announcements import HubAnnouncements
from weighbridge.domain.hub_models import HubPass, HubState, PassKind
from weighbridge.domain.refresh_schedule import due_kind

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]
WATCHED, OTHER = 20, 21


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubList]:
    """Return a Hub of which models.yaml names one model."""
    with HubList(GeneratedModels(150, seed=time.monotonic_ns() % 1000)) as hub:
        for index in (WATCHED, OTHER):
            hub.models.change(index, gated=False)
        monkeypatch.setenv("WEIGHBRIDGE_HUGGINGFACE_ENDPOINT", hub.url)
        monkeypatch.setenv("WEIGHBRIDGE_PRIVATE_NETWORKS", '["127.0.0.1"]')  # A run is on behalf of others.
        (home / "models.yaml").write_text(f"models: [{{hf_repo_id: {hub.models.id(WATCHED)}}}]\n")
        yield hub


def changed(hub: HubList) -> None:
    for index in (WATCHED, OTHER):
        hub.models.change(index, at_ms=LAST_MS + index, gated="manual")


def artifacts(state: State[Any]) -> dict[str, Any]:
    wanted = {"artifacts": {"flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}}}
    with get_client(sync_client=True) as client:
        found = client.request("POST", "/artifacts/filter", json=wanted).json()
    return {f"{one['type']}:{one['key']}": one["data"] for one in found}


def events(name: str, count: int, about: str = "") -> list[dict[str, Any]]:
    """Return the events of a name, after as many have come as there should be, or a while has passed."""
    wanted: dict[str, Any] = {"event": {"name": [name]}, "occurred": {"since": "2020-01-01T00:00:00Z"}}
    wanted |= {"resource": {"id": [about]}} if about else {}
    deadline = time.monotonic() + 30
    with get_client(sync_client=True) as client:
        while True:
            found: list[dict[str, Any]] = client.request("POST", "/events/filter", json={"filter": wanted}).json()[
                "events"
            ]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.3)


def test_a_change_of_a_watched_model_is_an_event_sent_once(hub: HubList, monkeypatch: pytest.MonkeyPatch) -> None:
    first = refresh_hub(return_state=True)
    assert first.type == StateType.COMPLETED
    assert first.message == "150 models listed (full): 150 new, 0 changed, 0 vanished."
    changed(hub)

    def killed(*_: Any) -> None:
        raise httpx.ReadTimeout("killed after the events were sent")

    with monkeypatch.context() as patched:
        patched.setattr(HubAnnouncements, "note_told", killed)
        second = refresh_hub(return_state=True)
    assert "Of watched models: 1 change." in str(second.message)
    assert refresh_hub(return_state=True).type == StateType.COMPLETED
    model = hub.models.id(WATCHED)
    (event,) = events("weighbridge.hub.model.gated", 1, f"weighbridge.hub.model.{model}")
    assert event["payload"] == {
        "model": model,
        "message": f"{model} is gated (Approval Required) on the Hub, and was public.",
        "field": "gated",
        "before": "no",
        "after": "manual",
        "models": [],
    }
    assert len(events("weighbridge.hub.refreshed", 3)) == 3, "a digest for each refresh"
    kept = artifacts(second)
    assert "| newly gated | 2 |" in kept["markdown:hub-refresh"]
    rows = json.loads(kept["table:hub-changes"])
    assert [(row["model"], row["watched"]) for row in rows] == [
        (model, "in models.yaml"),
        (hub.models.id(OTHER), ""),
    ]


def test_a_server_that_refuses_events_gets_them_from_the_next_run(
    hub: HubList, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise httpx.ConnectError("away")

    refresh_hub(return_state=True)
    changed(hub)
    with monkeypatch.context() as patched:
        patched.setattr(announcements, "post_events", refuse)
        assert refresh_hub(return_state=True).type == StateType.COMPLETED
    refresh_hub(return_state=True)
    assert len(events("weighbridge.hub.model.gated", 1, f"weighbridge.hub.model.{hub.models.id(WATCHED)}")) == 1


def test_a_partial_refresh_and_wrong_parameters(hub: HubList) -> None:
    done = refresh_hub(kind="partial", limit=10, return_state=True)
    assert str(done.message).startswith("10 models listed (partial): 10 new")
    for wrong in ({"kind": "partial"}, {"kind": "full", "limit": 3}, {"kind": "nonsense"}):
        refused = refresh_hub(**wrong, return_state=True)  # type: ignore[call-overload]
        assert refused.type == StateType.FAILED
        assert "Traceback" not in str(refused.message)


def test_what_is_due() -> None:
    now, week = datetime(2026, 11, 28, 1, 17, tzinfo=UTC), timedelta(days=7)

    def full(days_ago: float) -> HubState:
        begun = now - timedelta(days=days_ago)
        return HubState(1, 0, full=HubPass(1, PassKind.FULL, "", begun, begun))

    assert due_kind(HubState(0, 0), now, week) == "full"
    assert due_kind(full(7), now + timedelta(seconds=-5), week) == "full"
    assert [due_kind(full(days), now, week) for days in (1, 6.4, 6.6, 20)] == ["recent", "recent", "full", "full"]
