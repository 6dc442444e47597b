"""A person decides in a form, once; nothing else lets a model in."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.n8n.conftest import APPROVER, Stage, form_of

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(1200)]
CONFIG = b'{"model_type": "llama"}'


def asked(stage: Stage, name: str) -> str:
    """Have a person asked, and return the address of the form."""
    facts = {"label": f"{name} (4GB, 1B)", "gated": "Public", "license": "mit", "page": f"https://hub.example/{name}"}
    stage.call("weighbridgeApprove", model=name, uri=f"hf:{name}", here="", asked_by="Ada", why="a trial", **facts)
    message = stage.message(f"May {name} come in?")
    assert all(word in message["text"] for word in ("Ada", "licence mit", "Public", "a trial"))
    return form_of(message)


def decide(form: str, decision: str, remark: str = "") -> httpx.Response:
    """Fill the form in, as a browser does."""
    page = httpx.get(form, auth=APPROVER, trust_env=False, timeout=180)
    token = re.search(r"authToken = '(\w+)'", page.text)
    assert token, page.text[:2000]
    fields = {"field-0": (None, decision), "field-1": (None, "Grace"), "field-2": (None, remark)}
    return httpx.post(form, files=fields, headers={"x-auth-token": token[1]}, trust_env=False, timeout=180)


def test_an_approved_model_is_taken_in(stage: Stage) -> None:
    stage.hub.add("org/wanted", {"config.json": CONFIG})
    form = asked(stage, "org/wanted")
    assert httpx.get(form, trust_env=False, timeout=180).status_code == 401
    assert httpx.get(form, auth=("approver", "wrong"), trust_env=False, timeout=180).status_code == 401
    assert (
        httpx.get(form, auth=APPROVER, trust_env=False, timeout=180).status_code == 200
    )  # As programs that preview links do.
    assert [one["title"] for one in stage.messages()] == ["May org/wanted come in?"]
    assert decide(form, "approve").status_code == 200
    assert "Ada asked for it, Grace approved." in stage.message("org/wanted 1.0.0 passed")["text"]


def test_a_refused_model_is_not(stage: Stage) -> None:
    form = asked(stage, "org/unwanted")
    fields = {"field-0": (None, "approve"), "field-1": (None, "Mallory")}
    assert httpx.post(form, files=fields, trust_env=False, timeout=180).status_code == 401
    assert decide(form, "refuse", "Not now.").status_code == 200
    message = stage.message("org/unwanted was refused")
    assert message["text"].endswith("Grace refused what Ada asked for. Not now.")
    stage.n8n.settled()
    httpx.post(form, files=fields, auth=APPROVER, trust_env=False, timeout=180)
    httpx.get(form, auth=APPROVER, trust_env=False, timeout=180)
    stage.n8n.settled()
    assert len(stage.messages()) == 2
    assert stage.hub.asked(path="org/unwanted") == []


def test_nobody_decides(stage: Stage) -> None:
    """n8n looks once a minute which runs have waited long enough."""
    stage.set(approval_hours=0.001)
    try:
        form = asked(stage, "org/forgotten")
        assert "so it was not taken in" in stage.message("Nobody decided on org/forgotten", 150)["text"]
        stage.n8n.settled()
        httpx.post(form, files={"field-0": (None, "approve")}, auth=APPROVER, trust_env=False, timeout=180)
        assert stage.hub.asked(path="org/forgotten") == []
    finally:
        stage.set(approval_hours=72)
