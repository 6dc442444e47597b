"""A night on a real server: two scheduled syncs over six models, seen where people look in the morning.

The server has a worker, a webhook for news and a real MLflow as its registry. `python -m tests.flows.test_night FOLDER`
does the same with Prefect's pages switched on, prints the addresses and waits: for looking at it in a browser.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.flows.conftest import SHIPPED, model
from tests.services import mlflow as mlflow_service
from tests.services.mlflow import MLflowServer
from tests.services.prefect import PrefectServer, working
from tests.simulators.hub import Hub
from weighbridge.scanners.clamd.database import eicar

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
SYNC = "sync/nightly"
CHANGED, NEW = (SHIPPED["model.safetensors"][:-16] + text for text in (b"changed upstream", b"new in this file"))
LOAD_ALL = """
import json, mlflow, sys
names = [model.name for model in mlflow.MlflowClient().search_registered_models()]
uris = {name: f"models:/{name}@default/model.safetensors" for name in names}
load = mlflow.artifacts.download_artifacts
print(json.dumps({name: load(uri, dst_path=f"{sys.argv[1]}/{name}") for name, uri in uris.items()}))
"""
UNREACHABLE = "http://127.0.0.1:9/model.safetensors"


@dataclass
class Night:
    """Where the nights take place.

    Attributes:
        server: Prefect, with a worker.
        registry: MLflow.
        folder: the models and the models files.
        news: what the webhook received.
    """

    server: PrefectServer
    registry: MLflowServer
    folder: Path
    news: list[dict[str, str]] = field(default_factory=list)

    def models_file(self, night: str, **sources: str) -> str:
        """Write the models file of a night, with models in `night/`, and return its path."""
        path = self.folder / f"{night}.yaml"
        rows = [f"  - {{name: night/{name}, source: '{uri}'}}\n" for name, uri in sources.items()]
        path.write_text("models:\n" + "".join(rows))
        return str(path)

    def pass_by(self, models: str) -> dict[str, Any]:
        """Have the nightly deployment's schedule make a run of its own accord, and return that run at its end."""
        made = self.server.schedule(SYNC, {"models": models, "only": ""})
        try:
            return self.server.ended(self.server.scheduled(SYNC, models)[0]["id"])
        finally:
            self.server.http.delete(f"/deployments/{self.server.deployment(SYNC)}/schedules/{made['id']}")

    def table(self, run: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        """Return the rows of a sync's table by model."""
        rows = json.loads(self.server.artifacts(run["id"])["table:sync"])
        return {row["model"]: row for row in rows}

    def heard(self, number: int, timeout_s: float = 60) -> list[dict[str, str]]:
        """Wait until the webhook has received so many pieces of news and return them."""
        deadline = time.monotonic() + timeout_s
        while len(self.news) < number and time.monotonic() < deadline:
            time.sleep(0.5)
        return self.news

    def approved(self) -> dict[str, bytes]:
        """Return what a person loads with MLflow's own client: the weights of each model's default version."""
        user = {
            "MLFLOW_TRACKING_USERNAME": mlflow_service.USERNAME,
            "MLFLOW_TRACKING_PASSWORD": mlflow_service.PASSWORD,
        }
        environment = os.environ | user | {"MLFLOW_TRACKING_URI": self.registry.uri, "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-c", LOAD_ALL, str(self.folder / "loaded")]
        printed = subprocess.check_output(command, env=environment, text=True, timeout=300)
        return {name: Path(path).read_bytes() for name, path in json.loads(printed).items()}


class Receiver(ThreadingHTTPServer):
    """A web address that hears of news, as a chat's webhook would; a context manager."""

    def __init__(self, news: list[dict[str, str]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                news.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


@contextmanager
def house(folder: Path, **settings: str) -> Iterator[Night]:
    """Start everything that a night needs and yield it; it takes about a minute."""
    for name in ("prefect", "mlflow", "models"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        registry = stack.enter_context(mlflow_service.serving(folder / "mlflow"))
        hub = stack.enter_context(Hub())
        hub.add("night/gated", gated=True).commit(SHIPPED)
        user = f"{mlflow_service.USERNAME}:{mlflow_service.PASSWORD}@"
        settings |= {
            "WEIGHBRIDGE_REGISTRIES": "mlflow",
            "WEIGHBRIDGE_MLFLOW_TRACKING_URI": registry.uri.replace("://", f"://{user}"),
            "WEIGHBRIDGE_HUGGINGFACE_ENDPOINT": hub.url,
        }
        server = stack.enter_context(working(folder / "prefect", **settings))
        night = Night(server, registry, folder / "models")
        receiver = stack.enter_context(Receiver(night.news))
        held = {"method": "POST", "url": f"http://127.0.0.1:{receiver.server_port}/", "headers": {}}
        server.save_block("webhook", "operations", held)
        server.run(sys.executable, "-c", "from deployments.setup_prefect import tell; tell('webhook/operations')")
        yield night


def two_nights(night: Night) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let two nights pass and return their runs.

    In the first, two models are taken in. In the second one of them is as it was, one has changed; there are a new one,
    one with malware, one that the Hub gives to nobody without a token, and one whose server is away.
    """
    sources = {"unchanged": model(night.folder, "unchanged"), "changed": model(night.folder, "changed")}
    first = night.pass_by(night.models_file("first", **sources))
    model(night.folder, "changed", model__safetensors=CHANGED)
    sources |= {
        "new": model(night.folder, "new", model__safetensors=NEW),
        "infected": model(night.folder, "infected", notes__txt=b"see " + eicar()),
        "gated": "hf:night/gated",
        "unreachable": UNREACHABLE,
    }
    return first, night.pass_by(night.models_file("second", **sources))


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with house(tmp_path_factory.mktemp("night")) as found:
        yield found


@pytest.mark.timeout(900)  # Two servers start, and eight runs each import Prefect anew.
def test_two_nights(night: Night) -> None:
    first, second = two_nights(night)
    assert (first["auto_scheduled"], first["state_name"]) == (True, "Completed"), first["state"]["message"]
    assert night.server.children(first["id"]) == {"night/unchanged": "Completed", "night/changed": "Completed"}

    assert (second["auto_scheduled"], second["state_name"]) == (True, "Failed")
    counts = "Failed: 1 unchanged, 3 ingested, 2 failed, 1 not passed: night/infected."
    assert second["state"]["message"] == counts
    assert {"verdict:passed", "verdict:quarantined", "error"} <= set(second["tags"])
    rows = night.table(second)
    assert {name: (row["version"], row["status"]) for name, row in rows.items()} == {
        "night/changed": ("1.1.0", "PASSED"),
        "night/new": ("1.0.0", "PASSED"),
        "night/infected": ("1.0.0", "FAILED"),
        "night/gated": ("", "ERROR"),
        "night/unreachable": ("", "ERROR"),
    }
    assert "gated" in rows["night/gated"]["why"]
    assert "127.0.0.1:9" in rows["night/unreachable"]["why"]
    assert night.server.children(second["id"]) == {
        "night/changed": "Completed",
        "night/new": "Completed",
        "night/infected": "Failed",
        "night/gated": "Failed",
    }
    told = night.server.logs(second["id"])
    for name in rows:
        assert [line for line in told if name in line], f"the log of the run has nothing of {name}"
    assert not [line for line in told if "Traceback" in line]
    assert night.approved() == {
        "night--unchanged": SHIPPED["model.safetensors"],
        "night--changed": CHANGED,
        "night--new": NEW,
    }
    heard = {(news["event"], news["model"]) for news in night.heard(2)}
    assert heard == {("weighbridge.model.quarantined", "night/infected"), ("weighbridge.sync.failed", "")}
    assert night.server.errors() == []


if __name__ == "__main__":  # For people: look at it in a browser, stop it with Ctrl-C.
    target = Path(sys.argv[1])
    target.mkdir(parents=True)
    with house(target, PREFECT_SERVER_UI_ENABLED="true", PREFECT_SERVER_API_AUTH_STRING="") as opened:
        two_nights(opened)
        print(opened.server.url.removesuffix("/api"), opened.registry.uri, opened.news, flush=True)
        signal.pause()
