"""A colleague asks for a model by form or webhook; what it is, and whether it can be had, is looked up first."""

from __future__ import annotations

import httpx
import pytest

from tests.n8n.conftest import ASKER, TOKEN, Stage, form_of
from tests.n8n.test_decisions import decide

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(1200)]
CONFIG = b'{"model_type": "llama"}'


def ask(stage: Stage, model: str, headers: dict[str, str] = ASKER) -> int:
    """Ask as a program does."""
    given = {"model": model, "asked_by": "Ada", "why": "a trial"}
    url = f"{stage.n8n.url}/webhook/weighbridge-ask"
    return httpx.post(url, json=given, headers=headers, trust_env=False, timeout=180).status_code


def test_from_the_question_to_the_message(stage: Stage) -> None:
    stage.hub.add("org/asked", {"config.json": CONFIG})
    assert ask(stage, "org/asked", {}) == 403
    assert ask(stage, "org/asked", {"X-Asker": "wrong"}) == 403
    assert ask(stage, "org/asked") == 200
    message = stage.message("May org/asked come in?")
    assert "Ada asks for org/asked" in message["text"]
    assert "Public" in message["text"]
    assert decide(form_of(message), "approve").status_code == 200
    stage.message("org/asked 1.0.0 passed")
    assert len(stage.messages()) == 2
    stage.forget()
    assert ask(stage, f"{stage.hub.url}/org/asked?library=transformers") == 200
    assert "Version 1.0.0 of org/asked passed." in stage.message("org/asked is here")["text"]


def test_by_the_form(stage: Stage) -> None:
    """Who fills it in is led to no other form (n8n leads to the next one of the same workflow)."""
    stage.hub.add("org/formed", {"config.json": CONFIG})
    form = f"{stage.n8n.url}/form/ask-for-a-model"
    assert "Ask for a model" in httpx.get(form, trust_env=False, timeout=180).text
    fields = {"field-0": (None, "hf:org/formed"), "field-1": (None, "Ada"), "field-2": (None, "a trial")}
    answer = httpx.post(form, files=fields, trust_env=False, timeout=180)
    assert answer.status_code == 200
    assert "form-waiting" not in answer.text
    stage.message("May org/formed come in?")


def test_a_gated_model(stage: Stage) -> None:
    stage.hub.add("org/manual", {"config.json": CONFIG}, gated=True)
    assert ask(stage, "org/manual") == 200
    message = stage.message("org/manual is gated")
    assert "Approval Required" in message["text"]
    assert "/org/manual" in message["text"]
    assert TOKEN not in str(message)


def test_what_there_is_not(stage: Stage) -> None:
    assert ask(stage, "org/nothing") == 200
    assert "Ada asked for it. The catalogue of" in stage.message("org/nothing cannot be looked up")["text"]
    assert ask(stage, "../../ingests") == 200
    stage.message("../.. cannot be looked up")


def test_the_server_is_down(stage: Stage) -> None:
    stage.down()
    assert ask(stage, "org/asked") == 200
    stage.message("org/asked cannot be looked up")
    stage.up()
