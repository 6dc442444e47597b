"""The stage of the workflows: a real n8n, a served registry, a simulated Hub, and a receiver of messages."""

from __future__ import annotations

import base64
import hmac
import json
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.clamd import signatures
from tests.services.n8n import HOME, Execution, N8n, free_port, n8n
from tests.services.prefect import CREDENTIALS
from tests.services.weighbridge import Served, serving
from tests.simulators.hub import Hub
from tests.simulators.web import WebServer

WORKFLOWS = Path(__file__).parents[2] / "deployments" / "n8n"
#: What askers send to the webhook, and what approvers enter; neither is written in a workflow.
ASKER, APPROVER = {"X-Asker": "asker-of-the-tests"}, ("approver", "password-of-the-approver")
#: The variable of the server with the Hub's token, and the token.
TOKEN_PLACE, TOKEN = "N8N_TESTS_HF_TOKEN", "hf_" + "ofTheTests"


@dataclass
class Stage:
    """All that the workflows are tried with.

    Attributes:
        n8n: it, started, with every workflow published.
        hub: the Hub that the registry asks.
        web: the receiver of messages.
        home: of the registry.
        port: of the registry, the same one after `up`.
        served: the registry; None while it is down.
        key: the header with the key that n8n has.
        alerts: the secret of n8n's subscription.
    """

    n8n: N8n
    hub: Hub
    web: WebServer
    home: Path
    port: int
    served: Served | None = None
    key: dict[str, str] = field(default_factory=dict)
    alerts: str = ""
    _serving: AbstractContextManager[Served] | None = None

    def up(self) -> Served:
        """Serve the registry, at the same address each time."""
        environment = {
            "POLICY": "minimal",
            "CLAMAV_DATABASE": str(signatures(self.home.parent / "signatures")),
            "PRIVATE_NETWORKS": "127.0.0.0/8",
            "JOB_LEASE_S": "3",
            "WEBHOOK_NETWORKS": "127.0.0.0/8",
            "WEBHOOK_SCHEMES": "https,http",
            "WEBHOOK_RETRIES_S": ",".join(["1"] * 5 + ["5"] * 100),  # n8n takes minutes to start on a busy machine.
            "HUGGINGFACE_ENDPOINT": self.hub.url,
            "TOKEN_PLACES": json.dumps({TOKEN_PLACE: ["127.0.0.1"]}),
        }
        variables = {f"WEIGHBRIDGE_{name}": value for name, value in environment.items()}
        variables |= {TOKEN_PLACE: TOKEN, "HF_TOKEN": ""}
        self._serving = serving(self.home, variables, "--port", str(self.port))
        self.served = self._serving.__enter__()
        return self.served

    def down(self) -> None:
        """Kill the registry."""
        if self._serving is not None:
            self._serving.__exit__(None, None, None)
            self.served, self._serving = None, None

    @property
    def registry(self) -> Served:
        """The registry, which is up."""
        assert self.served is not None
        return self.served

    def call(self, workflow: str, **inputs: str) -> None:
        """Have n8n call a workflow, as another workflow would."""
        response = httpx.post(f"{self.n8n.url}/webhook/call-{workflow}", json=inputs, trust_env=False, timeout=180)
        assert response.status_code == 200, response.text

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages that were posted so far."""
        return [json.loads(one.body) for one in list(self.web.requests) if one.path == "/messages"]

    def message(self, words: str, timeout_s: float = 240, *, says: str = "") -> dict[str, Any]:
        """Wait for a message whose title has these words, and its text others, and return it."""
        deadline = time.monotonic() + timeout_s
        while not (found := [one for one in self.messages() if words in one["title"] and says in one["text"]]):
            assert time.monotonic() < deadline, f"{self.messages()}\n{self.n8n.executions()}\n{self.n8n.log()[-3000:]}"
            time.sleep(0.2)
        return found[0]

    def forget(self) -> None:
        """Forget the messages so far."""
        self.web.requests.clear()

    def set(self, **values: Any) -> None:
        """Change settings, as a user does in the editor: save and publish."""
        stored = with_settings(self.n8n.workflow("weighbridgeSettings"), **values)
        change = {name: stored[name] for name in ("name", "nodes", "connections", "settings", "versionId")}
        self.n8n.http.patch("/rest/workflows/weighbridgeSettings", json=change).raise_for_status()
        self.n8n.publish("weighbridgeSettings")

    def secret(self) -> str:
        """Return what signs the callbacks of n8n's key."""
        found: str = self.registry.get("/webhooks/callback-secret", headers=self.key).json()["secret"]
        return found

    def waiting(self, workflow: str) -> str:
        """Wait until the newest run of a workflow waits for a call, and return the address that resumes it."""

        def look(all_: list[Execution]) -> Execution | None:
            return all_[-1] if all_ and all_[-1].status == "waiting" else None

        found: Execution = self.n8n.until(look, workflow)
        values = json.loads(self.n8n.execution(found.id)["data"])
        token = values[int(values[0]["resumeToken"])]
        return f"{self.n8n.url}/webhook-waiting/{found.id}?signature={token}"


def signed(body: bytes, secret: str, id_: str, at: float | None = None) -> dict[str, str]:
    """Return the headers of a message, signed for n8n with a secret."""
    moment = str(int(time.time() if at is None else at))
    signature = base64.b64encode(hmac.digest(secret.encode(), f"{id_}.{moment}.".encode() + body, "sha256")).decode()
    names = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature")
    return dict(zip(names, ("application/json", id_, moment, f"v1text,{signature}"), strict=True))


def caller(workflow: str, inputs: list[str]) -> dict[str, Any]:
    """Return a workflow of the tests that calls another one with what is posted to it."""
    schema = [{"id": name, "displayName": name, "type": "string", "display": True} for name in inputs]
    mapping = {"mappingMode": "defineBelow", "value": {name: f"={{{{ $json.body.{name} ?? '' }}}}" for name in inputs}}
    call = {
        "workflowId": {"__rl": True, "mode": "id", "value": workflow},
        "workflowInputs": {**mapping, "schema": schema, "matchingColumns": []},
        "options": {"waitForSubWorkflow": False},
    }
    hook = {"httpMethod": "POST", "path": f"call-{workflow}", "options": {}}
    place = {"position": [0, 0]}
    return {
        "id": f"call{workflow}",
        "name": f"Tests: call {workflow}",
        "active": False,
        "nodes": [
            {**place, "id": "a", "name": "Hook", "type": "n8n-nodes-base.webhook", "typeVersion": 2, "parameters": hook,
             "webhookId": f"call-{workflow}"},
            {**place, "id": "b", "name": "Call", "type": "n8n-nodes-base.executeWorkflow", "typeVersion": 1.2,
             "parameters": call},
        ],
        "connections": {"Hook": {"main": [[{"node": "Call", "type": "main", "index": 0}]]}},
        "settings": {"executionOrder": "v1"},
    }  # fmt: skip


def with_settings(workflow: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return the workflow of the settings with other values, as a user would set them."""
    (node,) = (one for one in workflow["nodes"] if one["name"] == "Values")
    for one in node["parameters"]["assignments"]["assignments"]:
        one["value"] = values.get(one["name"], one["value"])
    return workflow


def credentials(key: str, callbacks: str, alerts: str) -> list[dict[str, Any]]:
    """Return the credentials under the names and ids that the workflows have."""

    def one(id_: str, label: str, kind: str, **data: str) -> dict[str, Any]:
        return {"id": id_, "name": label, "type": kind, "data": data}

    user, _, password = CREDENTIALS.partition(":")
    return [
        one("weighbridgeKey", "Weighbridge key", "httpBearerAuth", token=key),
        one("weighbridgePrefect", "Prefect", "httpBasicAuth", user=user, password=password),
        one("weighbridgeCallbacks", "Weighbridge callbacks", "crypto", hmacSecret=callbacks),
        one("weighbridgeAlerts", "Weighbridge alerts", "crypto", hmacSecret=alerts),
        one("weighbridgeAskers", "Weighbridge askers", "httpHeaderAuth", name="X-Asker", value=ASKER["X-Asker"]),
        one("weighbridgeApprovers", "Weighbridge approvers", "httpBasicAuth", user=APPROVER[0], password=APPROVER[1]),
    ]


def inputs_of(workflow: dict[str, Any]) -> list[str]:
    """Return the names of what a called workflow takes."""
    kind = "n8n-nodes-base.executeWorkflowTrigger"
    (start,) = (one for one in workflow["nodes"] if one["type"] == kind)
    return [one["name"] for one in start["parameters"].get("workflowInputs", {}).get("values", [])]


def prepare(stage: Stage, folder: Path) -> None:
    """Give n8n the workflows and the credentials, start it, and publish everything."""
    key = stage.registry.key("publisher")
    stage.key = key
    secret = stage.registry.get("/webhooks/callback-secret", headers=key).json()["secret"]
    hook = {
        "url": f"{stage.n8n.url}/webhook/weighbridge-alerts",
        "events": ["version.quarantined", "version.withdrawn"],
    }
    subscribed = stage.registry.request("POST", "/webhooks", json=hook, headers=key)
    assert subscribed.status_code == 201, subscribed.text
    stage.alerts = alerts = subscribed.json()["secret"]
    stage.n8n.take_credentials(credentials(key["Authorization"].removeprefix("Bearer "), secret, alerts))
    (folder / "workflows").mkdir()
    workflows = [json.loads(file.read_text()) for file in sorted(WORKFLOWS.glob("*.json"))]
    values = {"registry": stage.registry.url, "messages": stage.web.put("/messages"), "token_env": TOKEN_PLACE}
    callers = [caller(one, inputs_of(found)) for found in workflows if (one := found["id"]) in CALLED]
    for one in [*workflows, *callers]:
        if one["id"] == "weighbridgeSettings":
            one = with_settings(one, **values)
        (folder / "workflows" / f"{one['id']}.json").write_text(json.dumps(one))
    stage.n8n.run("import:workflow", "--separate", f"--input={folder / 'workflows'}")
    stage.n8n.start()
    stage.n8n.log_in()
    first = [one["id"] for one in workflows]
    for id_ in sorted(first, key=lambda one: ORDER.index(one) if one in ORDER else len(ORDER)):
        if id_ not in UNPUBLISHED:
            stage.n8n.publish(id_)
    for one in callers:
        stage.n8n.publish(one["id"])


#: The workflows that the tests call themselves.
CALLED = ("weighbridgeTakeIn", "weighbridgeApprove", "weighbridgeTakeInByPrefect")
#: What is called comes before who calls it.
ORDER = ("weighbridgeSettings", "weighbridgeMessage", "weighbridgeBenchmark", "weighbridgeTakeIn", "weighbridgeApprove")
#: The digest is published by its tests, with a clock of theirs.
UNPUBLISHED = ("weighbridgeDigest",)


class Elsewhere(socketserver.ThreadingTCPServer):
    """A proxy that lets nothing pass, and writes down what was wanted of it.

    Attributes:
        wanted: the first line of each request.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.wanted: list[str] = []
        super().__init__(("127.0.0.1", 0), _Refusal)

    @property
    def url(self) -> str:
        """What n8n has as its proxy."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Refusal(socketserver.StreamRequestHandler):
    server: Elsewhere

    def handle(self) -> None:
        self.server.wanted.append(self.rfile.readline(1000).decode(errors="replace").strip())
        self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Elsewhere]:
    """Yield the proxy that n8n is to ask for every other machine."""
    with Elsewhere() as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def whole_stage(tmp_path_factory: pytest.TempPathFactory, elsewhere: Elsewhere) -> Iterator[Stage]:
    """Yield the stage of all tests."""
    if not (HOME / "node_modules" / ".bin" / "n8n").exists():
        pytest.fail("There is no n8n here: `make test-n8n` installs it.")
    folder = tmp_path_factory.mktemp("n8n")
    (folder / "registry").mkdir()
    (folder / "n8n").mkdir()
    with ExitStack() as stack:
        hub, web = stack.enter_context(Hub()), stack.enter_context(WebServer())
        hub.tokens[TOKEN] = frozenset()
        served = stack.enter_context(n8n(folder / "n8n", elsewhere.url))
        stage = Stage(served, hub, web, folder / "registry", free_port())
        stack.callback(stage.down)
        stage.up()
        prepare(stage, folder)
        yield stage


@pytest.fixture
def stage(whole_stage: Stage) -> Stage:
    """Yield the stage without messages, and with the registry up."""
    if whole_stage.served is None:
        whole_stage.up()
    whole_stage.forget()
    return whole_stage


def form_of(message: dict[str, Any]) -> str:
    """Return the address of the form in a message to approvers."""
    found = re.search(r"Decide: (\S+)", message["text"])
    assert found, message
    return found[1]


def until(look: Callable[[], Any], timeout_s: float = 180) -> Any:
    """Return the first true answer of a function."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
    return found
