"""The flow `request_model` on a real server: it waits without a process, for a person's answer by the API."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest

from tests.flows.conftest import SHIPPED, model
from tests.services.prefect import PrefectServer
from weighbridge.scanners.clamd.database import eicar

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
REQUEST = "request-model/on-demand"
APPROVED = {"decision": "approve", "by": "Grace {{ 7 * 7 }}"}


@pytest.fixture(scope="module")
def asked(prefect_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return a request for each of three models that nobody has answered: more than may run at once."""
    folder = tmp_path_factory.mktemp("asked")
    models = {
        "wanted": model(folder, "wanted"),
        "evil": model(folder, "evil", notes__txt=eicar(), README__md=SHIPPED["README.md"] + b"evil"),
        "forgotten": model(folder, "forgotten", README__md=SHIPPED["README.md"] + b"forgotten"),
    }
    more = {"asked_by": "Ada", "reason": "For <b>the search</b> | of `papers`", "benchmarks": []}
    runs = {
        name: prefect_server.create(REQUEST, {"uri": uri, "name": f"request/{name}", **more}).json()["id"]
        for name, uri in models.items()
    }
    for run in runs.values():
        suspended(prefect_server, run)
    return runs


def suspended(server: PrefectServer, run: str) -> None:
    deadline = time.monotonic() + 120
    while (found := server.http.get(f"/flow_runs/{run}").json())["state_name"] != "Suspended":
        assert time.monotonic() < deadline, found["state"]
        time.sleep(0.5)


def answer(server: PrefectServer, run: str, content: dict[str, Any] | None) -> dict[str, Any]:
    """Answer as the button Resume does; return what the server says."""
    said: dict[str, Any] = server.write(f"/flow_runs/{run}/resume", {"run_input": content}).json()
    return said


def told(server: PrefectServer, word: str, name: str) -> list[str]:
    found = server.events(f"weighbridge.request.{word}", f"weighbridge.model.request/{name}")
    return [event["payload"]["message"] for event in found]


def test_the_person_who_decides_reads_who_asks_and_why(prefect_server: PrefectServer, asked: dict[str, str]) -> None:
    run = asked["wanted"]
    shown = prefect_server.http.get(f"/flow_runs/{run}/input/suspended-approval-description").json()
    assert "**Ada** asks for **request/wanted**" in shown
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert prefect_server.artifacts(run) == {"markdown:request-request-wanted": shown}
    (message,) = told(prefect_server, "waiting", "wanted")
    assert run in message, "the message has no link to the page with the button"
    # Of a run that is suspended, Prefect logged a traceback once (PrefectHQ/prefect#16915, #17264).
    assert not [line for line in prefect_server.logs(run) if "Traceback" in line or "exited with" in line]


def test_no_heartbeat_comes_after_the_suspension(prefect_server: PrefectServer, asked: dict[str, str]) -> None:
    """The automation that ends runs of killed workers would wait for the next one, and mark the run as Crashed."""
    for run in asked.values():
        resource = f"prefect.flow-run.{run}"
        (end,) = prefect_server.events("prefect.flow-run.Suspended", resource)
        beats = prefect_server.events("prefect.flow-run.heartbeat", resource)
        assert beats
        assert max(beat["received"] for beat in beats) < end["received"]


@pytest.mark.parametrize(
    "wrong",
    [None, {}, {"decision": "perhaps", "by": "Eve"}, {"decision": "approve", "by": ""}, APPROVED | {"policy": "off"}],
)
def test_an_answer_that_is_none_is_refused(
    prefect_server: PrefectServer, asked: dict[str, str], wrong: dict[str, Any] | None
) -> None:
    assert answer(prefect_server, asked["wanted"], wrong)["status"] == "REJECT"
    suspended(prefect_server, asked["wanted"])


def test_an_approved_model_is_taken_in_once(prefect_server: PrefectServer, asked: dict[str, str]) -> None:
    assert answer(prefect_server, asked["wanted"], APPROVED)["status"] == "ACCEPT"
    assert answer(prefect_server, asked["wanted"], {"decision": "decline", "by": "Eve"})["status"] == "ABORT"
    run = prefect_server.ended(asked["wanted"])
    passed = "Passed: request/wanted 1.0.0 under the policy demo. Approved by Grace {{ 7 * 7 }}."
    assert (run["state_name"], run["state"]["message"]) == ("Completed", passed)
    assert set(run["tags"]) == {"weighbridge", "request", "verdict:passed"}
    assert prefect_server.children(run["id"]) == {"request/wanted": "Completed"}
    assert told(prefect_server, "passed", "wanted") == [passed]
    assert len(told(prefect_server, "waiting", "wanted")) == 1, "the resumed run asked again"


def test_an_approved_model_can_be_quarantined(prefect_server: PrefectServer, asked: dict[str, str]) -> None:
    """The person's word opens the door of the examination, not of the catalog."""
    answer(prefect_server, asked["evil"], APPROVED)
    run = prefect_server.ended(asked["evil"])
    assert (run["state_name"], run["state"]["message"].split()[0]) == ("Failed", "Quarantined:")
    assert "verdict:quarantined" in run["tags"]
    assert told(prefect_server, "quarantined", "evil") == [run["state"]["message"]]


def test_a_request_without_an_answer_ends(prefect_server: PrefectServer, asked: dict[str, str]) -> None:
    """The server ends it, as no process waits; a retry asks anew, and this time the answer is no."""
    run = asked["forgotten"]
    with closing(sqlite3.connect(prefect_server.folder / "prefect" / "prefect.db", timeout=60)) as database, database:
        past = "json_set(state_details, '$.pause_timeout', '2026-01-01T00:00:00Z')"
        database.execute(
            f"UPDATE flow_run_state SET state_details = {past} WHERE type = 'PAUSED' AND flow_run_id = ?", (run,)
        )
    ended = prefect_server.ended(run)
    assert (ended["state_name"], ended["state"]["message"]) == ("Failed", "The flow was paused and never resumed.")
    assert answer(prefect_server, run, APPROVED)["status"] == "ABORT"
    again = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}}
    assert prefect_server.write(f"/flow_runs/{run}/set_state", again).json()["status"] == "ACCEPT"
    suspended(prefect_server, run)
    answer(prefect_server, run, {"decision": "decline", "by": "Eve", "reason": "Too large."})
    declined = prefect_server.ended(run)
    message = "Declined: request/forgotten, by Eve. Too large."
    assert (declined["state_name"], declined["state"]["message"]) == ("Failed", message)
    assert "declined" in declined["tags"]
    assert prefect_server.children(run) == {}, "it was taken in"
    assert told(prefect_server, "declined", "forgotten") == [message]
