"""The digest tells what happened in a day, once, and nothing where nothing did."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.n8n.conftest import Stage
from tests.n8n.nodes import WORKFLOWS
from tests.services.clamd import eicar

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(1200)]
CONFIG = b'{"model_type": "llama"}'


def ticking(stage: Stage, since: str = "") -> dict[str, Any]:
    """Publish the digest with a clock of seconds, wait for a run, and return the message, if there is one."""
    workflow = json.loads((WORKFLOWS / "digest.json").read_text())
    for node in workflow["nodes"]:
        if node["name"] == "Each morning":
            node["parameters"]["rule"]["interval"] = [{"field": "seconds", "secondsInterval": 5}]
        if node["name"] == "Since" and since:
            node["parameters"]["assignments"]["assignments"][0]["value"] = since
    stored = stage.n8n.workflow("weighbridgeDigest")
    change = {"name": workflow["name"], "nodes": workflow["nodes"], "versionId": stored["versionId"]}
    change |= {"connections": workflow["connections"], "settings": workflow["settings"]}
    before = len(stage.n8n.executions("weighbridgeDigest"))
    stage.n8n.http.patch("/rest/workflows/weighbridgeDigest", json=change).raise_for_status()
    stage.n8n.publish("weighbridgeDigest")
    try:
        stage.n8n.until(lambda all_: [one for one in all_[before:] if one.status == "success"], "weighbridgeDigest")
    finally:
        stage.n8n.http.post("/rest/workflows/weighbridgeDigest/deactivate", json={}).raise_for_status()
    assert {one.status for one in stage.n8n.settled() if one.workflow == "weighbridgeDigest"} == {"success"}
    return next((one for one in stage.messages() if one["title"] == "What came in last night"), {})


def test_new_models_and_quarantined_ones(stage: Stage) -> None:
    stage.hub.add("digest/good", {"config.json": CONFIG})
    stage.hub.add("digest/bad", {"config.json": CONFIG, "eicar.bin": eicar()})
    for name in ("good", "bad"):
        stage.call("weighbridgeTakeIn", uri=f"hf:digest/{name}", asked_by="Ada", approved_by="Grace")
        stage.message(f"digest/{name} 1.0.0")
    stage.n8n.settled()
    stage.forget()
    message = ticking(stage)
    assert "digest/good 1.0.0" in message["data"]["New"]
    assert "digest/bad 1.0.0" in message["data"]["Quarantined"]
    assert "Withdrawals are left out: the key may not read the audit log." in message["text"]


def test_a_night_on_which_nothing_happened_has_no_message(stage: Stage) -> None:
    assert ticking(stage, "={{ $now.toUTC().plus({ hours: 1 }).toISO() }}") == {}
