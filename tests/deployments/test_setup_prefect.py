"""Setting a server up says in one line what stops it."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


def test_a_server_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from deployments.setup_prefect import main

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert main(["--wait", "0"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("No Prefect server answers at http://127.0.0.1:9/api")


def test_a_server_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from deployments.setup_prefect import main

    with temporary_settings(restore_defaults=[PREFECT_API_URL]):
        assert main([]) == 64
    assert "export PREFECT_API_URL" in capsys.readouterr().err


def test_a_run_that_waits_for_a_person_has_not_crashed() -> None:
    """It sends no heartbeat for days; an automation that expects one marked it as Crashed after a minute."""
    from prefect import states

    from deployments.setup_prefect import ENDS

    waiting = (states.Suspended(), states.Paused(), states.AwaitingRetry(), states.Scheduled(), states.Late())
    assert {state.name for state in waiting} <= set(ENDS)


def test_news_are_rendered_also_where_an_event_names_no_model() -> None:
    """A flow that failed is about no model, and its event's resource has no name; a request that ran out has both."""
    from prefect.events import Event
    from prefect.server.events.schemas.events import ReceivedEvent
    from prefect.server.utilities.user_templates import render_user_template_sync

    from deployments.setup_prefect import _PAYLOAD

    failed = {"event": "weighbridge.sync.failed", "payload": {"model": "", "message": "2 failed"}}
    unanswered = {"prefect.resource.name": "ask org/x", "prefect.state-message": "never resumed"}
    kinds = (
        (failed, {}, ("", "2 failed")),
        ({"event": "prefect.flow-run.Failed", "payload": {}}, unanswered, ("ask org/x", "never resumed")),
    )
    for event, resource, expected in kinds:
        sent = Event.model_validate({**event, "resource": {"prefect.resource.id": "weighbridge.flow.sync", **resource}})
        received = ReceivedEvent.model_validate(sent.model_dump())
        news = json.loads(render_user_template_sync(_PAYLOAD, {"event": received}))
        assert (news["event"], (news["model"], news["message"])) == (event["event"], expected)
