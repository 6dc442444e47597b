"""The alert believes what is signed, once, and tells it."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.n8n.conftest import Stage, signed, until
from tests.services.clamd import eicar

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(1200)]
CONFIG = b'{"model_type": "llama"}'


def post(stage: Stage, body: bytes, headers: dict[str, str]) -> int:
    url = f"{stage.n8n.url}/webhook/weighbridge-alerts"
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=180).status_code


def message_about(name: str) -> bytes:
    links = {"version": f"/api/models/{name}/versions/1.0.0"}
    reasons = [{"effect": "reject", "rule": "clamav.signature", "message": "It is malware.", "path": "", "report": ""}]
    data = {"model": name, "version": "1.0.0", "previous_status": "PASSED", "reasons": reasons, "links": links}
    return json.dumps({"type": "version.quarantined", "data": data}).encode()


def test_a_quarantined_and_a_withdrawn_version(stage: Stage) -> None:
    stage.hub.add("alert/bad", {"config.json": CONFIG, "eicar.bin": eicar()})
    stage.hub.add("alert/good", {"config.json": CONFIG})
    for name in ("bad", "good"):
        order = {"source": "huggingface", "model_id": f"alert/{name}"}
        assert stage.registry.request("POST", "/models/import", json=order, headers=stage.key).status_code == 202
    assert "/api/models/alert%2Fbad/versions/1.0.0" in stage.message("alert/bad 1.0.0 is quarantined")["text"]
    path = "/models/alert%2Fgood/versions/1.0.0?reason=recalled"
    until(lambda: stage.registry.request("DELETE", path, headers=stage.key).is_success)
    assert "recalled" in stage.message("alert/good 1.0.0 is withdrawn")["text"]


def test_a_message_that_comes_again_is_told_once(stage: Stage) -> None:
    body = message_about("alert/again")
    assert post(stage, body, signed(body, stage.alerts, "msg_again")) == 204
    assert post(stage, body, signed(body, stage.alerts, "msg_again")) == 204
    stage.n8n.settled()
    assert [one["title"] for one in stage.messages()] == ["alert/again 1.0.0 is quarantined"]
    assert "It had passed before." in stage.messages()[0]["text"]


def test_a_forged_or_an_old_one_is_refused(stage: Stage) -> None:
    body = message_about("alert/forged")
    right = signed(body, stage.alerts, "msg_forged")
    standard = right["webhook-signature"].replace("v1text", "v1")
    wrong = {
        "none": (body, {}),
        "another secret": (body, signed(body, stage.secret(), "msg_forged")),
        "other bytes": (body.replace(b": ", b":"), right),
        "another id": (body, right | {"webhook-id": "msg_other"}),
        "another version": (body, right | {"webhook-signature": standard}),
        "old": (body, signed(body, stage.alerts, "msg_forged", time.time() - 400)),
        "to come": (body, signed(body, stage.alerts, "msg_forged", time.time() + 400)),
        "no time": (body, right | {"webhook-timestamp": "soon"}),
    }
    answers = {name: post(stage, *given) for name, given in wrong.items()}
    assert set(answers.values()) == {401}, answers
    assert post(stage, b"\xff" + body, right) == 422  # n8n itself: it is not JSON.
    stage.n8n.settled()
    assert stage.messages() == []


def test_what_could_not_be_sent_on_comes_again(stage: Stage) -> None:
    """n8n tells the server nothing until the message is posted, so the server sends the same one again."""
    body = message_about("alert/lost")
    stage.web.put("/messages", status=503)
    try:
        assert post(stage, body, signed(body, stage.alerts, "msg_lost")) == 500
    finally:
        stage.web.put("/messages")
    stage.forget()
    assert post(stage, body, signed(body, stage.alerts, "msg_lost")) == 204
    stage.message("alert/lost 1.0.0 is quarantined")
