"""A model is taken in from n8n: the job's end comes back signed, and the message says what became of it."""

from __future__ import annotations

import pytest

from tests.n8n.conftest import TOKEN, Stage
from tests.services.clamd import eicar
from tests.simulators.samples import malicious_pickle

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(1200)]
CONFIG = b'{"model_type": "llama"}'


def take(stage: Stage, name: str) -> None:
    stage.call("weighbridgeTakeIn", uri=f"hf:{name}", asked_by="Ada", approved_by="Grace")


def test_a_model_that_passes(stage: Stage) -> None:
    before = len(stage.n8n.settled())
    stage.hub.add("org/good", {"config.json": CONFIG})
    take(stage, "org/good")
    message = stage.message("org/good 1.0.0 passed")
    assert "Ada asked for it, Grace approved." in message["text"]
    assert message["data"]["status"] == "PASSED"
    assert {one.status for one in stage.n8n.settled()[before:]} == {"success"}


@pytest.mark.parametrize("kind", ["eicar", "pickle"])
def test_a_model_that_is_quarantined(stage: Stage, kind: str) -> None:
    files = {"eicar.bin": eicar()} if kind == "eicar" else {"pytorch_model.bin": malicious_pickle()}
    stage.hub.add(f"org/{kind}", {"config.json": CONFIG, **files})
    take(stage, f"org/{kind}")
    message = stage.message(f"org/{kind} 1.0.0 is quarantined", says="Grace approved")  # The alert has another text.
    assert message["data"]["status"] == "FAILED"
    assert next(iter(files)) in message["text"]


def test_a_gated_model_without_access(stage: Stage) -> None:
    stage.hub.add("org/gated", {"config.json": CONFIG, "README.md": b"Bytes that are not here."}, gated=True)
    take(stage, "org/gated")
    message = stage.message("org/gated is gated")
    assert TOKEN not in str(message)
    stage.hub.tokens[TOKEN] = frozenset({"org/gated"})  # The owner lets the server's token in.
    take(stage, "org/gated")
    stage.message("org/gated 1.0.0 passed")
    stage.hub.tokens[TOKEN] = frozenset()


def test_a_model_that_there_is_not(stage: Stage) -> None:
    take(stage, "org/missing")
    assert "ERROR" in stage.message("org/missing was not taken in")["text"]


def test_an_order_that_the_server_refuses(stage: Stage) -> None:
    stage.call("weighbridgeTakeIn", uri="nowhere:org/name", asked_by="Ada", approved_by="Grace")
    assert "nowhere" in stage.message("nowhere:org/name was not taken in")["text"]
