"""Answers that are held to a JSON schema: whatever a random model would rather say, valid and of that form."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.handlers import tiny
from weighbridge.errors import InvalidRequest
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.structure import Structures

pytest.importorskip("llguidance", reason="of the extra benchmark")
pytestmark = pytest.mark.xdist_group("torch")
SAID = [{"role": "user", "content": "hi"}]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["cat", "dog", "é"]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
        "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/small"}]},
    },
    "$defs": {"small": {"type": "object", "properties": {"n": {"type": "null"}}, "additionalProperties": False}},
    "required": ["name", "age", "kind", "tags", "next"],
    "additionalProperties": False,
}


def asking(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextChat:
    return TextChat(str(tiny.llama(tmp_path_factory.mktemp("llama"))), "cpu", name="m")


def answered(model: TextChat, response_format: Any, *, temperature: float = 1.0, **options: Any) -> Any:
    return model.generate(
        SAID,
        **{"max_new_tokens": 200, "temperature": temperature, "top_p": 1.0, **options},
        response_format=response_format,
    )


def test_a_random_model_keeps_to_a_schema(model: TextChat) -> None:
    assert model.supports_structured_outputs
    texts = set()
    for seed in range(8):
        found = answered(model, asking(PERSON), seed=seed, frequency_penalty=0.5, top_k=40)
        jsonschema.validate(json.loads(found.text), PERSON)
        assert found.finish_reason == "stop"
        texts.add(found.text)
    assert len(texts) > 1
    jsonschema.validate(json.loads(answered(model, asking(PERSON), temperature=0.0).text), PERSON)


def test_any_object_is_json_and_pieces_are_its_text(model: TextChat) -> None:
    ended = 0
    for seed in range(12):
        pieces: list[str] = []
        options: dict[str, Any] = {"max_new_tokens": 200, "temperature": 1.0, "top_p": 1.0, "seed": seed}
        found = model.stream(SAID, on_text=pieces.append, response_format={"type": "json_object"}, **options)
        assert "".join(pieces) == found.text
        assert found.text.startswith("{")
        if found.finish_reason == "stop":
            assert isinstance(json.loads(found.text), dict)
            ended += 1
    assert ended


def test_what_is_cut_or_not_asked_for_is_what_it_was(model: TextChat) -> None:
    cut = answered(model, asking(PERSON), max_new_tokens=5)
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 5)
    plain = answered(model, {"type": "text"}, temperature=0.0, max_new_tokens=8)
    assert plain == answered(model, None, temperature=0.0, max_new_tokens=8)


@pytest.mark.parametrize(
    ("response_format", "told"),
    [
        (asking({"type": "objekt"}), "Invalid type"),
        (asking({"type": "array", "contains": {"type": "string"}}), "Unimplemented keys"),
        (asking({"type": "string", "pattern": "("}), "unclosed group"),
        (asking("object"), "in no known form"),
        ({"type": "json_schema"}, "in no known form"),
        ({"type": "xml"}, "in no known form"),
        ("json", "in no known form"),
    ],
)
def test_a_form_that_cannot_be_kept_is_the_requests_fault(model: TextChat, response_format: Any, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        answered(model, response_format)


@pytest.mark.parametrize(
    ("options", "schema", "told"),
    [
        ({"lenient": True}, {"type": "array", "contains": {"type": "string"}}, "Unimplemented keys"),
        ({"coerce_one_of": True}, {"oneOf": [{"type": "number"}, {"type": "integer"}]}, "oneOf"),
    ],
)
def test_a_schema_cannot_make_itself_looser(model: TextChat, options: Any, schema: Any, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        answered(model, asking({**schema, "x-guidance": options}))


def test_a_schema_cannot_ask_for_other_white_space(model: TextChat) -> None:
    loose = {**PERSON, "x-guidance": {"whitespace_flexible": True, "whitespace_pattern": "[ ]+"}}
    assert answered(model, asking(loose), seed=1) == answered(model, asking(PERSON), seed=1)


def test_a_form_leaves_no_room_for_calls_of_tools(tmp_path: Path) -> None:
    template = "{% if tools %}<tool_call>{{ tools | tojson }}{% endif %}" + tiny.TEMPLATE
    model = TextChat(str(tiny.llama(tmp_path, template=template)), "cpu", name="m")
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    with pytest.raises(InvalidRequest, match="calls no tool"):
        answered(model, asking(PERSON), tools=tools, max_new_tokens=4)
    assert answered(model, asking(PERSON), tools=tools, tool_choice="none", max_new_tokens=4).text.startswith("{")


def test_who_cannot_be_held_says_so(model: TextChat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidRequest, match="llguidance is not installed") as caught:
        answered(model, asking(PERSON))
    assert "pip install" in caught.value.remedy
    alone = TextChat(str(tiny.llama(tmp_path)), "cpu", name="m")
    assert not alone.supports_structured_outputs


def test_where_no_package_helps_it_names_none(model: TextChat) -> None:
    for tokenizer, ends, told in ((object(), {1}, "its tokenizer"), (model.tokenizer, set[int](), "no token")):
        with pytest.raises(InvalidRequest, match=told) as caught:
            Structures("m", tokenizer, ends).holding("{}", 0)
        assert caught.value.remedy == "Leave response_format out."
