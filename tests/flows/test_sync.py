"""The flow `sync` embedded: one run a changed model, none for the others, one failure stops no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import State, StateType
from pydantic import SecretStr

from blocks import WebCredentials
from flows import artifact_report
from flows.sync import sync
from tests.flows.conftest import model
from tests.simulators.web import WebServer
from weighbridge.cli import app
from weighbridge.domain.manifest import Manifest
from weighbridge.intake import verifying
from weighbridge.scanners.clamd.database import eicar

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]


def children(state: State[Any]) -> dict[str, str]:
    """Return the name and the state of each subflow run."""
    assert isinstance(state.state_details.flow_run_id, UUID)
    wanted = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        return {run.name: str(run.state_name) for run in client.read_flow_runs(flow_run_filter=wanted)}


def wanted(home: Path, **uris: str) -> None:
    lines = [f"  - {{name: {name}, source: '{uri}'}}" for name, uri in uris.items()]
    (home / "models.yaml").write_text("\n".join(["models:", *lines]) + "\n")


def test_only_what_changed_has_a_run(home: Path) -> None:
    one, two = model(home, "one"), model(home, "two", README__md=b"---\nlicense: mit\n---\n")
    wanted(home, one=one, two=two)
    first = sync(return_state=True)
    assert (first.type, first.name) == (StateType.COMPLETED, "Completed")
    assert children(first) == {"one": "Completed", "two": "Completed"}
    again = sync(return_state=True)
    assert children(again) == {}
    assert again.message == "Passed: 2 unchanged, 0 ingested, 0 failed, 0 not passed."
    model(home, "two")
    assert children(sync(return_state=True)) == {"two": "Completed"}


def test_one_failure_stops_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = model(home, "one"), model(home, "two", README__md=b"---\nlicense: mit\n---\n")
    wanted(home, lost="file:/no/such", broken=two, one=one)
    plain = verifying.verify

    def bug(declared: Manifest, computed: Manifest, **pins: Any) -> Any:
        if declared.ref.name == "two":
            raise ZeroDivisionError("a bug")
        return plain(declared, computed, **pins)

    monkeypatch.setattr(verifying, "verify", bug)
    state = sync(return_state=True)
    assert (state.type, state.name) == (StateType.FAILED, "Failed")
    assert children(state) == {"broken": "Failed", "one": "Completed"}
    failures = {failure["name"]: failure["error"] for failure in state.result(raise_on_failure=False)["failed"]}
    assert set(failures) == {"lost", "broken"}
    assert "/no/such" in failures["lost"]
    assert "a bug" in failures["broken"]


def test_a_rejected_model_shows(home: Path) -> None:
    wanted(home, evil=model(home, "evil", notes__txt=eicar()))
    state = sync(return_state=True)
    assert (state.type, state.name) == (StateType.FAILED, "Failed")
    assert children(state) == {"evil": "Failed"}
    again = sync(return_state=True)
    assert (again.type, again.name) == (StateType.FAILED, "Failed")
    assert again.message == "Quarantined: 0 unchanged, 0 ingested, 0 failed, 1 not passed: evil."
    assert children(again) == {}


def test_a_block_holds_the_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources are asked in plain threads, which have to find the server that keeps the block."""
    monkeypatch.setenv("WEIGHBRIDGE_PRIVATE_NETWORKS", '["127.0.0.1"]')  # A run is on behalf of others.
    WebCredentials(host="127.0.0.1", token=SecretStr("hunter2")).save("company", overwrite=True)
    with WebServer() as web:
        url = web.put("/model.safetensors", b"no header")
        (home / "models.yaml").write_text(f"models: [{{name: private, source: '{url}', auth: {{block: company}}}}]\n")
        assert sync(return_state=True).name == "Failed"
    assert {request.headers.get("authorization") for request in web.requests} == {"Bearer hunter2"}


def test_a_report_that_cannot_be_kept_undoes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise httpx.ReadTimeout("too slow")

    monkeypatch.setattr(artifact_report, "create_markdown_artifact", refuse)
    wanted(home, tiny=model(home))
    state = sync(return_state=True)
    assert (state.name, children(state)) == ("Completed", {"tiny": "Completed"})
    assert "an artifact was not written" in caplog.text


def test_locked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted(home, tiny=model(home))
    assert app.run(["lock"]) == 0
    assert sync(locked=True, return_state=True).name == "Completed"
    model(home, README__md=b"changed")
    state = sync(locked=True, return_state=True)
    assert state.name == "Failed"
    assert "README.md" in str(state.result(raise_on_failure=False)["failed"])


def test_the_command_line_says_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted(home, tiny=model(home), lost="file:/no/such")
    assert app.run(["sync", "--via", "prefect", "--json"]) == 1
    by_flow = json.loads(capsys.readouterr().out)
    assert [found["name"] for found in by_flow["ingested"]] == ["tiny"]
    assert app.run(["sync", "--via", "direct", "--json"]) == 1
    directly = json.loads(capsys.readouterr().out)
    assert directly["failed"] == by_flow["failed"]
    assert directly["unchanged"] == ["tiny"]
    assert app.run(["sync", "--models", "none.yaml", "--via", "prefect"]) == 64
    assert "none.yaml" in capsys.readouterr().err
