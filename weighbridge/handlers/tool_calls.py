"""Tool calls in a model's answer, read in the format that its files declare.

The tokenizer's `response_template` declares a format, or a chat template that shows the model how to write calls:
Hermes' and Qwen's `<tool_call>`, Mistral's `[TOOL_CALLS]`, Llama's object of `name` and `parameters`. Anything else
stays text. Not here: the list of tools, which the template writes (chat).
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.errors import InvalidRequest

_log = logging.getLogger(__name__)
_HERMES = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_MISTRAL = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*\w+\s*)?(?:\[ARGS\])?\s*(\{.*\})\s*", re.DOTALL)
_LLAMA = '{"name": function name, "parameters":'
_PYTHON = "<|python_tag|>"


@dataclass(frozen=True)
class Said:
    """The content of an answer with calls.

    Attributes:
        calls: the tool calls in OpenAI's form; at least one.
        text: the text beside them; None for the text before the mark.
        reasoning: the reasoning before the answer, where it is separate.
    """

    calls: tuple[dict[str, Any], ...]
    text: str | None = None
    reasoning: str = ""


@dataclass(frozen=True)
class CallFormat:
    """The format of a model's calls.

    Attributes:
        mark: the beginning of the first one; empty where only the whole answer shows it.
        parse: returns the calls in an answer with its special tokens, or None where it has none. Raises ValueError.
    """

    mark: str
    parse: Callable[[str], Said | None]

    def read(self, answer: str) -> Said | None:
        """Return the content of an answer with its special tokens; None where it has no calls in this format."""
        if self.mark not in answer:
            return None
        try:
            return self.parse(answer)
        except Exception as error:  # noqa: BLE001 (the format is untrusted, and the answer stays text)
            _log.warning("calls of tools that cannot be read stay text", extra={"reason": f"{type(error).__name__}"})
            return None


def offered(name: str, render: Callable[[Mapping[str, Any]], str], options: Mapping[str, Any]) -> str:
    """Return the text of messages in a template.

    Args:
        name: the model's name, for messages.
        render: returns the text for given options of the template.
        options: those of the call, with or without `tools`.

    Raises:
        InvalidRequest: there are tools, and the template ignores them.
    """
    text = render(options)
    without = {key: value for key, value in options.items() if key != "tools"}
    if options.get("tools") and text == render(without):
        raise InvalidRequest(
            f"The chat template of {name} has no place for tools.", "Leave them out, or use a model that calls tools."
        )
    return text


def call_format(tokenizer: Any, template: Any, tools: Sequence[dict[str, Any]], prompt: str) -> CallFormat | None:
    """Return the format of a model's calls of these tools; None where there are none, or no format is declared.

    Args:
        tokenizer: that of the model.
        template: its chat template.
        tools: the tools in OpenAI's form.
        prompt: the text of the messages in its template.
    """
    if not tools:
        return None
    if getattr(tokenizer, "response_template", None) is not None:
        return CallFormat(
            "", lambda answer: _declared(tokenizer.parse_response(answer, prefix=prompt, tools=list(tools)))
        )
    for shown, found in (
        ("<tool_call>", CallFormat("<tool_call>", _hermes)),
        ("[TOOL_CALLS]", CallFormat("[TOOL_CALLS]", _mistral)),
        (_LLAMA, CallFormat("", _llama)),
    ):
        if shown in str(template):
            return found
    _log.warning("calls of tools stay text: the model's files do not tell how it writes them")
    return None


def _declared(message: Mapping[str, Any]) -> Said | None:
    """Return the content of an answer that transformers has parsed."""
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    thought = next((message[key] for key in ("reasoning_content", "thinking") if message.get(key)), "")
    return Said(_calls(calls, "arguments"), str(message.get("content") or ""), str(thought)) if calls else None


def _hermes(answer: str) -> Said:
    inner = answer[answer.find("<tool_call>") :]
    if _HERMES.sub("", inner).strip():
        raise ValueError("there is more than calls")
    return Said(_calls([json.loads(body) for body in _HERMES.findall(inner)], "arguments"))


def _mistral(answer: str) -> Said:
    called: list[Any] = []
    for part in answer.split("[TOOL_CALLS]")[1:]:
        if (found := _MISTRAL.fullmatch(part)) is not None:
            called.append({"name": found[1], "arguments": json.loads(found[2])})
        else:
            called += json.loads(part)
    return Said(_calls(called, "arguments"))


def _llama(answer: str) -> Said | None:
    text = answer.strip().removeprefix(_PYTHON).strip()
    if not text.startswith("{"):
        return None
    called, decoder = [], json.JSONDecoder()
    while text:
        value, end = decoder.raw_decode(text)
        called.append(value)
        text = text[end:].lstrip().removeprefix(";").lstrip()
    return Said(_calls(called, "parameters"), "")


def _calls(called: Sequence[Any], key: str) -> tuple[dict[str, Any], ...]:
    """Return calls in OpenAI's form. Raises ValueError where there is none, or one has an unknown form."""
    if not called:
        raise ValueError("there is no call")
    return tuple(_call(call["name"], call[key]) for call in called)


def _call(name: Any, arguments: Any) -> dict[str, Any]:
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        raise ValueError("a call has no name, or arguments that are not an object")
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}
