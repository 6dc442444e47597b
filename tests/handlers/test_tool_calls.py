"""Tools: a template that has no place for them is told, and calls are read by the format that the files declare."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.handlers import tiny
from weighbridge.errors import InvalidRequest
from weighbridge.handlers.chat import TextChat

pytestmark = pytest.mark.xdist_group("torch")
HELLO = [{"role": "user", "content": "x"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
PLAIN: dict[str, Any] = {"max_new_tokens": 200, "temperature": 0.0, "top_p": 1.0}
OFFERS = "{% if tools %}<tools>{{ tools | tojson }}</tools>SHOWN{% endif %}" + tiny.TEMPLATE
HERMES = OFFERS.replace("SHOWN", "<tool_call>…</tool_call>")
MISTRAL = OFFERS.replace("SHOWN", "{% if 0 %}[TOOL_CALLS]{% endif %}")
LLAMA = OFFERS.replace("SHOWN", 'Answer with {"name": function name, "parameters": …}')
CALL = '<tool_call>\n{"name": "f", "arguments": {"a": "é"}}\n</tool_call>'
G_CALL = CALL.replace('"f"', '"g"')
#: As transformers' own server has it for Qwen.
DECLARED = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<assistant>",
    "fields": {
        "reasoning_content": {"open": "<think>", "close": "</think>", "content": "text"},
        "tool_calls": {
            "open_pattern": r"\s*<call>",
            "close": "</call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close": "</s>", "content": "text"},
    },
}


def speaker(folder: Path, says: str, template: str, marks: tuple[str, ...] = ()) -> TextChat:
    words = tiny.tokenizer(folder, template)
    words.add_special_tokens({"additional_special_tokens": list(marks)})
    text = words.apply_chat_template(HELLO, tools=TOOLS, tokenize=False, add_generation_prompt=True)
    start = len(words.encode(text, add_special_tokens=False))
    return TextChat(str(tiny.speaker(folder, says, start=start, template=template, marks=marks)), "cpu", name="m")


def functions(found: Any) -> list[tuple[str, dict[str, Any]]]:
    assert all(call["type"] == "function" and call["id"].startswith("call_") for call in found.tool_calls)
    assert len({call["id"] for call in found.tool_calls}) == len(found.tool_calls)
    called = [call["function"] for call in found.tool_calls]
    return [(function["name"], json.loads(function["arguments"])) for function in called]


@pytest.mark.parametrize(
    ("template", "says", "text", "called"),
    [
        (HERMES, CALL, "", [("f", {"a": "é"})]),
        (HERMES, f"Wait.{G_CALL}\n{CALL}", "Wait.", [("g", {"a": "é"}), ("f", {"a": "é"})]),
        (HERMES, f"Wait.{CALL}\n{CALL}", "Wait.", [("f", {"a": "é"})] * 2),
        (MISTRAL, '[TOOL_CALLS] [{"name": "f", "arguments": {}}]', "", [("f", {})]),
        (MISTRAL, 'So:[TOOL_CALLS]f[ARGS]{"a": {}}[TOOL_CALLS]g{"b": 1}', "So:", [("f", {"a": {}}), ("g", {"b": 1})]),
        (LLAMA, '{"name": "f", "parameters": {"a": 1}}', "", [("f", {"a": 1})]),
        (
            LLAMA,
            '<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}',
            "",
            [("f", {}), ("g", {})],
        ),
    ],
)
def test_calls_are_read_in_the_form_that_the_template_shows(
    tmp_path: Path, template: str, says: str, text: str, called: list[Any]
) -> None:
    handler = speaker(tmp_path, says, template, ("[TOOL_CALLS]", "[ARGS]", "<|python_tag|>"))
    pieces: list[str] = []
    found = handler.stream(HELLO, tools=TOOLS, on_text=pieces.append, **PLAIN)
    assert (found.text, found.finish_reason) == (text, "tool_calls")
    assert functions(found) == called
    assert "".join(pieces) == text


def test_calls_are_read_as_the_tokenizer_declares(tmp_path: Path) -> None:
    says = '<think>hm</think>Yes.<call>{"name": "f", "arguments": {"a": 1}}</call>'
    handler = speaker(tmp_path, says, HERMES)
    handler.tokenizer.response_template = DECLARED
    pieces: list[str] = []
    found = handler.stream(HELLO, tools=TOOLS, on_text=pieces.append, **PLAIN)
    assert (found.text, found.reasoning, found.finish_reason) == ("Yes.", "hm", "tool_calls")
    assert (functions(found), pieces) == ([("f", {"a": 1})], ["Yes."])
    handler.tokenizer.response_template = {"fields": 3}
    assert handler.generate(HELLO, tools=TOOLS, **PLAIN).text == says


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (HERMES, "no call"),
        (HERMES, "<tool_call>not JSON</tool_call>"),
        (HERMES, '<tool_call>{"name": 1, "arguments": {}}</tool_call>'),
        (HERMES, f"{CALL} and more"),
        (HERMES, "<tool_call>{"),
        (LLAMA, '{"an": "object"}'),
        (LLAMA, "words"),
        (OFFERS, CALL),
    ],
)
def test_what_is_no_call_stays_text(tmp_path: Path, template: str, says: str) -> None:
    pieces: list[str] = []
    found = speaker(tmp_path, says, template).stream(HELLO, tools=TOOLS, on_text=pieces.append, **PLAIN)
    assert (found.text, found.tool_calls, found.finish_reason) == (says, (), "stop")
    assert "".join(pieces) == says


def test_calls_that_cannot_be_read_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        speaker(tmp_path, "<tool_call>{", HERMES).generate(HELLO, tools=TOOLS, **PLAIN)
        assert [record.message for record in caplog.records] == ["calls of tools that cannot be read stay text"]
        speaker(tmp_path, "x", OFFERS).generate(HELLO, tools=TOOLS, **PLAIN)
    assert "do not tell how it writes them" in caplog.records[1].message


def test_an_answer_that_is_cut_holds_no_call(tmp_path: Path) -> None:
    handler = speaker(tmp_path, f"Wait.{CALL}", HERMES)
    found = handler.generate(HELLO, tools=TOOLS, **PLAIN | {"max_new_tokens": 20})
    assert (found.text, found.tool_calls, found.finish_reason) == (f"Wait.{CALL}"[:20], (), "length")


def test_a_template_without_a_place_for_tools_is_told(tmp_path: Path) -> None:
    handler = speaker(tmp_path, CALL, tiny.TEMPLATE)
    with pytest.raises(InvalidRequest, match="template of m has no place for tools"):
        handler.generate(HELLO, tools=TOOLS, **PLAIN)
    assert handler.generate(HELLO, tools=TOOLS, tool_choice="none", **PLAIN).text == CALL
    assert handler.generate(HELLO, tools=[], **PLAIN).finish_reason == "stop"
