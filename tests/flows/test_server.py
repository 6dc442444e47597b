"""Runs on a real Prefect server, asked for over HTTP as any other program would, taken by a real worker."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from blocks import loading
from tests.flows.conftest import SHIPPED, model
from tests.services.prefect import CREDENTIALS, SOURCE_TOKEN, PrefectServer
from tests.simulators.web import WebServer
from weighbridge.registries.naming import registered_name
from weighbridge.scanners.clamd.database import eicar

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
INGEST, SYNC = "ingest/on-demand", "sync/nightly"


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def ended(server: PrefectServer, deployment: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run a deployment to its end."""
    created = server.create(deployment, parameters)
    assert created.status_code == 201, created.text
    return server.ended(created.json()["id"])


def test_a_clean_model_passes_and_is_there_once(prefect_server: PrefectServer, tmp_path: Path) -> None:
    # Bytes of its own: what another test had scanned here would not be scanned again, and have no bar.
    asked = {"uri": model(tmp_path, "clean", README__md=SHIPPED["README.md"] + b"clean"), "name": "org/Clean Model"}
    key = str(uuid4())
    created = prefect_server.create(INGEST, asked, idempotency_key=key)
    assert created.status_code == 201
    again = prefect_server.create(INGEST, asked, idempotency_key=key)
    assert (again.status_code, again.json()["id"]) == (200, created.json()["id"])

    run = prefect_server.ended(created.json()["id"])
    assert (run["state_type"], run["state_name"], run["name"]) == ("COMPLETED", "Completed", "org/Clean Model")
    kept = prefect_server.artifacts(run["id"])
    assert set(kept) == {
        "markdown:report-org-clean-model",
        "table:files-org-clean-model",
        "progress:fetch-org-clean-model",
        "progress:scan-org-clean-model",
        "progress:publish-org-clean-model",
    }
    assert kept["progress:scan-org-clean-model"] == 100
    report = kept["markdown:report-org-clean-model"]
    for words in ("Apache", "clamav", "PASSED under the policy demo", "## Published", "bytes covered"):
        assert words in report
    paths = [row["path"] for row in json.loads(kept["table:files-org-clean-model"])]
    assert paths == ["README.md", "config.json", "model.safetensors"]
    (exported,) = (prefect_server.folder / "home" / "export" / registered_name("org/Clean Model")).glob(
        "*.*/model.safetensors"
    )
    assert exported.read_bytes() == (tmp_path / "clean" / "model.safetensors").read_bytes()


def test_malware_is_quarantined(prefect_server: PrefectServer, tmp_path: Path) -> None:
    run = ended(prefect_server, INGEST, {"uri": model(tmp_path, "evil", notes__txt=b"see " + eicar())})
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Failed")
    assert "clamav" in run["state"]["message"].lower()
    kept = prefect_server.artifacts(run["id"])
    assert "quarantined" in kept["markdown:report-evil"].splitlines()[0]
    assert not [path for path in (prefect_server.folder / "home" / "export").rglob("*") if "evil" in path.name]
    (told,) = prefect_server.events("weighbridge.model.quarantined", "weighbridge.model.evil")
    assert told["payload"]["message"] == run["state"]["message"], "automations have nothing to tell"
    assert set(run["tags"]) == {"weighbridge", "ingest", "verdict:quarantined"}
    assert [line for line in prefect_server.logs(run["id"]) if "Traceback" in line or "exited with" in line] == []


def test_what_cannot_be_done_is_one_paragraph(prefect_server: PrefectServer, tmp_path: Path) -> None:
    run = ended(prefect_server, INGEST, {"uri": f"file:{tmp_path}/none"})
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Failed")
    assert run["state"]["message"] == f"There is no {tmp_path}/none. Check the path."
    assert not [line for line in prefect_server.logs(run["id"]) if "Traceback" in line]
    assert "error" in run["tags"]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"uri": 1},
        {"uri": "nonsense"},
        {"uri": "https://user:secret@host/model.gguf"},
        {"uri": "mock:a/b", "locked": "perhaps"},
        {"uri": "mock:a/b", "polcy": "strict"},
        {"uri": "mock:a/b", "policy": "lax"},
        {"uri": "mock:a/b", "registries": ["nowhere"]},
        {"uri": "mock:a/b", "benchmarks": ["memroy"]},
    ],
)
def test_wrong_parameters_are_refused_at_once(prefect_server: PrefectServer, parameters: dict[str, Any]) -> None:
    assert prefect_server.create(INGEST, parameters).status_code == 409


def test_an_event_asks_for_a_run(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """What n8n may send instead of a request that waits."""
    uri = model(tmp_path, "told")
    event = {
        "occurred": datetime.now(UTC).isoformat(),
        "event": "weighbridge.model.wanted",
        "resource": {"prefect.resource.id": "weighbridge.model.told"},
        "payload": {"uri": uri},
        "id": str(uuid4()),
    }
    assert prefect_server.http.post("/events", json=[event]).status_code == 204
    run = prefect_server.found("told")
    assert run["parameters"]["uri"] == uri
    assert prefect_server.ended(run["id"])["state_name"] == "Completed"


def test_sync_takes_in_what_changed(prefect_server: PrefectServer, tmp_path: Path) -> None:
    for name in ("first", "second"):
        model(tmp_path, name)
    (tmp_path / "models.yaml").write_text(
        "models:\n"
        f"  - {{name: sync/first, source: {{file: {{path: {tmp_path / 'first'}}}}}}}\n"
        f"  - {{name: sync/second, source: {{file: {{path: {tmp_path / 'second'}}}}}}}\n"
        "  - {name: sync/gone, source: 'file:/no/such/model'}\n"
    )
    asked = {"models": str(tmp_path / "models.yaml"), "only": ""}
    run = ended(prefect_server, SYNC, asked)
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Failed")
    rows = json.loads(prefect_server.artifacts(run["id"])["table:sync"])
    assert {row["model"]: row["status"] for row in rows} == {
        "sync/first": "PASSED",
        "sync/second": "PASSED",
        "sync/gone": "ERROR",
    }
    assert prefect_server.children(run["id"]) == {"sync/first": "Completed", "sync/second": "Completed"}

    model(tmp_path, "second", README__md=b"---\nlicense: mit\n---\n# Another\n")
    text = (tmp_path / "models.yaml").read_text()
    (tmp_path / "models.yaml").write_text(
        "".join(line for line in text.splitlines(keepends=True) if "gone" not in line)
    )
    run = ended(prefect_server, SYNC, asked)
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Completed")
    assert "1 unchanged, 1 ingested" in run["state"]["message"]
    assert prefect_server.children(run["id"]) == {"sync/second": "Completed"}


def test_the_command_line_runs_on_the_server(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """With PREFECT_API_URL set, what a person starts shows where everybody looks."""
    ran = prefect_server.run(
        sys.executable, "-m", "weighbridge", "ingest", model(tmp_path, "mine"), "--name", "by-hand", "--json"
    )
    assert json.loads(ran.stdout)["status"] == "PASSED"
    assert prefect_server.found("by-hand")["state_name"] == "Completed"


def test_setting_up_again_changes_nothing(prefect_server: PrefectServer) -> None:
    def stock() -> dict[str, list[str]]:
        kinds = ("work_pools", "deployments", "automations", "block_types", "v2/concurrency_limits")
        return {
            kind.rpartition("/")[2]: sorted(
                found["name"] for found in prefect_server.http.post(f"/{kind}/filter", json={}).json()
            )
            for kind in kinds
        }

    before = stock()
    prefect_server.run(sys.executable, "deployments/setup_prefect.py")
    assert stock() == before
    assert before["work_pools"] == ["gpu", "weighbridge"]
    assert before["deployments"] == [*["nightly"] * 5, *["on-demand"] * 4]
    assert [name for name in before["concurrency_limits"] if name.startswith("cpu:")]
    assert {kind.get_block_type_name() for kind in loading.CREDENTIALS.values()} <= set(before["block_types"])
    assert len([name for name in before["automations"] if "heartbeat" in name]) == 1


def test_a_block_hears_of_a_quarantined_model(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """The automation that `setup_prefect.py --notify` makes, on a webhook; what is sent is JSON whatever is in it."""
    heard: Queue[dict[str, Any]] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        Thread(target=receiver.serve_forever, daemon=True).start()
        held = {"method": "POST", "url": f"http://127.0.0.1:{receiver.server_port}/", "headers": {}}
        prefect_server.save_block("webhook", "operations", held)
        prefect_server.run(
            sys.executable, "-c", "from deployments.setup_prefect import tell; tell('webhook/operations')"
        )
        run = ended(
            prefect_server, INGEST, {"uri": model(tmp_path, "heard", notes__txt=eicar()), "name": "it's {{ 7 }} é"}
        )
        told = heard.get(timeout=60)
        receiver.shutdown()
    assert told == {
        "event": "weighbridge.model.quarantined",
        "model": "it's {{ 7 }} é",
        "message": run["state"]["message"],
    }


def test_deployments_queue_and_enforce(prefect_server: PrefectServer) -> None:
    for name in (INGEST, SYNC):
        found = prefect_server.http.get(f"/deployments/name/{name}").json()
        assert found["enforce_parameter_schema"]
        assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert found["global_concurrency_limit"]["limit"] >= 1
        assert found["work_pool_name"] == "weighbridge"
    (schedule,) = prefect_server.http.get(f"/deployments/name/{SYNC}").json()["schedules"]
    assert schedule["schedule"]["timezone"] == "UTC"
    assert schedule["active"]


def test_runs_beside_each_other_share_one_store(prefect_server: PrefectServer, tmp_path: Path) -> None:
    uri = model(tmp_path, "twice")
    with ThreadPoolExecutor(2) as pool:
        runs = list(
            pool.map(lambda name: ended(prefect_server, INGEST, {"uri": uri, "name": name}), ("a-twin", "b-twin"))
        )
    assert [run["state_name"] for run in runs] == ["Completed", "Completed"]


def test_no_secret_is_kept_or_told(prefect_server: PrefectServer, web: WebServer) -> None:
    """A token in the worker's environment and one in a block: both are sent upstream, neither is found anywhere."""
    block_token = "token-of-a-block-" + uuid4().hex
    held = {"host": "127.0.0.1", "token": block_token}
    document = prefect_server.save_block("web-credentials", "company", held)
    assert block_token not in json.dumps(document)
    url = web.put("/private.safetensors", b"no header")
    by_env = ended(prefect_server, INGEST, {"uri": url, "name": "by-env", "token_env": "SOURCE_TOKEN"})
    by_block = ended(prefect_server, INGEST, {"uri": url, "name": "by-block", "auth_block": "company"})
    assert {by_env["state_name"], by_block["state_name"]} == {"Failed"}
    sent = {request.headers.get("authorization") for request in web.requests}
    assert sent == {f"Bearer {SOURCE_TOKEN}", f"Bearer {block_token}"}

    password = CREDENTIALS.partition(":")[2]
    files = [path for path in prefect_server.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert {path.name for path in files} >= {"server.log", "worker.log"}
    for secret in (SOURCE_TOKEN, block_token, password):
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
    for run in (by_env, by_block):
        told = json.dumps([run, prefect_server.logs(run["id"]), prefect_server.artifacts(run["id"])])
        assert "token-of" not in told
