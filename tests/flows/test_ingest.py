"""The flow `ingest` embedded: states, artifacts, the same result as without Prefect, nothing secret told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State, StateType
from pydantic import SecretStr

from blocks import WebCredentials
from flows.embedded import run_ingest, run_sync
from flows.ingest import ingest
from tests.flows.conftest import SHIPPED, model
from tests.simulators.web import WebServer
from weighbridge.cli import app
from weighbridge.config.settings import Settings
from weighbridge.domain.digest import Digest
from weighbridge.domain.progress import Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import InvalidReference, ModelNotFound
from weighbridge.intake.asker import process_user
from weighbridge.intake.opening import open_catalog
from weighbridge.intake.syncing import SyncRequest
from weighbridge.scanners.clamd.database import eicar

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def run(uri: str, **parameters: Any) -> State[Any]:
    return ingest(uri, **parameters, return_state=True)


def run_id(state: State[Any]) -> UUID:
    assert state.state_details.flow_run_id is not None
    return state.state_details.flow_run_id


def artifacts(state: State[Any]) -> dict[str, Any]:
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id(state)]))
        return {f"{found.type}:{found.key}": found.data for found in client.read_artifacts(artifact_filter=wanted)}


def test_passed(home: Path) -> None:
    state = run(model(home))
    assert (state.type, state.name) == (StateType.COMPLETED, "Completed")
    assert state.message == "Passed: tiny 1.0.0 under the policy demo."
    kept = artifacts(state)
    assert "# tiny 1.0.0: passed" in kept["markdown:report-tiny"]
    files = json.loads(kept["table:files-tiny"])
    assert [row["path"] for row in files] == ["README.md", "config.json", "model.safetensors"]
    assert "file:" not in kept.get("markdown:link-tiny", ""), "no browser opens it"
    assert kept["progress:fetch-tiny"] == kept["progress:scan-tiny"] == 100.0
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(run_id(state))
        assert (found.name, found.tags) == ("tiny", ["verdict:passed"])
        tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id(state)])))
    assert sorted(task.name for task in tasks) == [
        "decide tiny",
        "describe tiny",
        "fetch README.md and 2 more",
        "publish tiny",
        "resolve tiny",
        "scan README.md and 2 more",
        "verify tiny",
    ]


def test_the_audit_log_says_whether_a_run_or_the_user_changed_the_catalog(home: Path) -> None:
    run(model(home))
    run_ingest(IngestRequest(ModelRef.parse(model(home)), name="own"), Silent())
    with open_catalog(Settings()) as catalog:
        rows = catalog.audit.rows(action="version.settled")
    assert [(row.object, row.actor) for row in rows] == [
        ("tiny@1.0.0", "flow:ingest"),
        ("own@1.0.0", process_user()),
    ]


def test_the_gate_is_the_same_without_prefect(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = model(home, notes__bin=b"PK\x03\x04 nothing")
    results = []
    for via in ("direct", "prefect"):
        monkeypatch.setenv("WEIGHBRIDGE_HOME", str(home / via))
        capsys.readouterr()
        status = app.run(["ingest", uri, "--via", via, "--json"])
        found = json.loads(capsys.readouterr().out)
        found.pop("created_at")
        for publication in found["published"]:
            publication["location"] = publication["location"].replace(f"/{via}/", "/")
            publication["load"] = [line.replace(f"/{via}/", "/") for line in publication["load"]]
        results.append((status, found))
    assert results[0] == results[1]


def test_malware_is_quarantined(home: Path) -> None:
    state = run(model(home, notes__txt=b"see " + eicar()))
    assert (state.type, state.name) == (StateType.FAILED, "Failed")
    assert state.message is not None
    assert state.message.startswith("Quarantined: tiny 1.0.0 under the policy demo. ClamAV")
    assert "EICAR" in state.message.upper()
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run_id(state)).tags == ["verdict:quarantined"]
        tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id(state)])))
    assert "quarantine tiny" in {task.name for task in tasks}
    assert not [task.name for task in tasks if "publish" in task.name], "the graph shows what was not done"
    assert "quarantined" in artifacts(state)["markdown:report-tiny"].splitlines()[0]
    assert not (home / "home" / "export").exists()


def test_what_cannot_be_done_is_one_paragraph(home: Path) -> None:
    state = run(f"file:{home}/none")
    assert (state.type, state.name) == (StateType.FAILED, "Failed")
    assert state.message == f"There is no {home}/none. Check the path."
    assert isinstance(state.result(raise_on_failure=False), ModelNotFound)
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run_id(state)).tags == ["error"]


def test_what_was_published_and_no_longer_passes_is_tagged(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = model(home)
    assert run(uri).type == StateType.COMPLETED
    (home / "strict.yaml").write_text("extends: standard\nclamav: {database: any}\nlicence: {deny: [apache-2.0]}\n")
    state = run(uri, policy="strict.yaml")
    with get_client(sync_client=True) as client:
        assert sorted(client.read_flow_run(run_id(state)).tags) == ["verdict:quarantined", "withdrawn"], state.message


def test_a_run_without_return_state_ends_without_an_exception(home: Path) -> None:
    """As a worker runs it: what is raised there ends the log with a traceback."""
    found = ingest(model(home, notes__txt=eicar()))
    assert found["status"] == "FAILED"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"uri": "s4://bucket/x"}, "Known schemes"),
        ({"uri": "mock:a/b", "hash": "zz"}, "digest"),
        ({"uri": "mock:a/b", "policy": "lax"}, "Presets"),
        ({"uri": "mock:a/b", "registries": ["nowhere"]}, "no registry"),
        ({"uri": "mock:a/b", "locked": True}, "weighbridge lock"),
        ({"uri": "hf:a/b", "auth_block": "nobody"}, "hub-credentials/nobody"),
        ({"uri": "s3://bucket/x", "auth_block": "nobody"}, "s3-credentials/nobody"),
        ({"uri": "hf:a/b", "auth_block": "local-file-system/x"}, "secret/<name>"),
        ({"uri": "mock:a/b", "catalog_block": "nobody"}, "catalog-database/nobody"),
    ],
)
def test_mistakes_are_told(home: Path, parameters: dict[str, Any], words: str) -> None:
    state = ingest(**parameters, return_state=True)
    assert state.name == "Failed"
    assert state.message is not None
    assert words in state.message
    assert "\n" not in state.message


def test_a_run_is_not_named_after_a_password(home: Path) -> None:
    state = run("https://user:hunter2@127.0.0.1/model.gguf")
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run_id(state)).name == "unreadable URI"
    assert "hunter2" not in str(state.message)


def test_a_block_holds_the_token(home: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_PRIVATE_NETWORKS", '["127.0.0.1"]')  # A run is on behalf of others.
    WebCredentials(host="127.0.0.1", token=SecretStr("hunter2")).save("company", overwrite=True)
    state = run(web.put("/model.safetensors", b"no header"), auth_block="company")
    assert {request.headers.get("authorization") for request in web.requests} == {"Bearer hunter2"}
    assert state.name == "Failed"


def test_the_command_line_exits_as_without_prefect(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["ingest", model(home), "--via", "prefect"]) == 0
    assert "PASSED" in capsys.readouterr().out
    assert app.run(["ingest", model(home, "evil", notes__txt=eicar()), "--via", "prefect"]) == 2
    assert app.run(["ingest", "file:/no/such", "--via", "prefect"]) == 1
    assert "There is no /no/such." in capsys.readouterr().err
    wrong = f"nar:{Digest.sha256(b'other').sri}"
    assert app.run(["ingest", model(home), "--hash", wrong, "--via", "prefect"]) == 1
    assert "The NAR hash of" in capsys.readouterr().err


@pytest.mark.parametrize("query", ["X-Amz-Signature=secret&X-Amz-Expires=9", "sv=2024&sig=secret", "token=secret"])
def test_a_signed_url_is_no_parameter_of_a_run(home: Path, web: WebServer, query: str) -> None:
    """Prefect keeps parameters in clear: whoever asks learns how to name a secret instead."""
    url = web.put("/model.safetensors", SHIPPED["model.safetensors"])
    state = run(f"{url}?{query}")
    assert state.type == StateType.FAILED
    assert state.message is not None
    assert "auth_block" in state.message
    assert "secret" not in state.message.replace("place of the secret", "")
    assert web.requests == [], "the server was asked"


def test_a_signed_url_of_the_command_line_reaches_no_run(home: Path, web: WebServer) -> None:
    request = IngestRequest(
        ModelRef.parse(web.put("/model.safetensors", SHIPPED["model.safetensors"]) + "?token=secret")
    )
    with pytest.raises(InvalidReference, match="--via direct"):
        run_ingest(request, Silent())
    Path("models.yaml").write_text(f"models: [{{name: m, source: '{request.ref.address}'}}]")
    done = run_sync(SyncRequest(), Silent())
    assert [(failure.name, "--via direct" in str(failure.error)) for failure in done.failed] == [("m", True)]
