"""A chat's answer, assembled from the events of a stream or from one object: text, reasoning, refusal, tool calls.

Each service has forms of its own: SGLang and DeepSeek (`reasoning_content`), OpenRouter, Ollama and vLLM (`reasoning`),
Mistral (content in parts), Azure (events without text), TGI (other finish reasons). Not here: requests (dialect,
handlers.upstream, benchmarks.judging).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: OpenAI's finish reason for each name that other services use.
_ENDS = {
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "model_length": "length",
    "max_tokens": "length",
    "function_call": "tool_calls",
}
#: The most characters of a finish reason, and of reasoning, that are kept.
_MAX_NAME, _MAX_REASONING = 40, 16 * 1024**2
_MAX_CALLS = 1024


class NoChatAnswer(ValueError):
    """An event is not part of a chat's answer; the error's text says what it is instead."""


@dataclass
class _Call:
    """The part of one tool call that has arrived."""

    id: str = ""
    name: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)


class ChatAnswer:
    """The part of an answer that has arrived.

    Attributes:
        finish_reason: `stop`, `length`, `tool_calls`, `content_filter`, or a service's own; empty before the end.
        usage: the service's last token counts.
        model: the model's name as the service reports it.
        size: characters of the answer without its reasoning.
        begun: whether any part of a message has arrived.
        logprobs: the service's entry for each token, unchanged.
    """

    def __init__(self) -> None:
        self.finish_reason, self.model, self.size = "", "", 0
        self.usage: Mapping[str, Any] = {}
        self.begun = False
        self.logprobs: list[Any] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[_Call] = []
        self._thought_room = _MAX_REASONING

    @property
    def text(self) -> str:
        """Return the text of the answer."""
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        """Return the reasoning, where the service sends it; the first 16 million characters."""
        return "".join(self._reasoning)

    @property
    def refusal(self) -> str:
        """Return the model's own reason for not answering."""
        return "".join(self._refusal)

    @property
    def tool_calls(self) -> tuple[dict[str, Any], ...]:
        """Return the tool calls in OpenAI's form."""
        said = [(call.id, {"name": "".join(call.name), "arguments": "".join(call.arguments)}) for call in self._calls]
        return tuple({"id": id_, "type": "function", "function": function} for id_, function in said)

    def add(self, event: Mapping[str, Any]) -> str | None:
        """Add an event; return its text, empty for other parts of an answer, None for an event that is not a part.

        Raises:
            NoChatAnswer: it has another form.
        """
        if isinstance(event.get("usage"), dict):
            self.usage = event["usage"]
        if isinstance(event.get("model"), str):
            self.model = event["model"]
        choices = event.get("choices")
        if not choices and isinstance(choices, list | None):
            return None
        choice = choices[0] if isinstance(choices, list) else None
        if not isinstance(choice, dict) or "text" in choice:
            raise NoChatAnswer("events that hold no text")
        ended = choice.get("finish_reason")
        if isinstance(ended, str) and ended:
            self.finish_reason = _ENDS.get(ended, ended)[:_MAX_NAME]
        told = choice.get("logprobs")
        if isinstance(told, dict) and isinstance(told.get("content"), list):
            self.logprobs += told["content"]
        piece = choice.get("delta", choice.get("message"))
        if piece is None:  # Azure reports its content filter like this.
            return None
        if not isinstance(piece, dict):
            raise NoChatAnswer("events that hold no text")
        return self._take(piece)

    def _take(self, piece: Mapping[str, Any]) -> str | None:
        self.begun = True
        text, thought = _content(piece.get("content"))
        thought += next((_text(piece[key]) for key in ("reasoning_content", "reasoning") if piece.get(key)), "")
        refusal = _text(piece.get("refusal"))
        called = self._call(piece)
        self._text.append(text)
        self._refusal.append(refusal)
        self._reasoning.append(thought[: self._thought_room])
        self._thought_room -= len(self._reasoning[-1])
        self.size += len(text) + len(refusal)
        return text if text or thought or refusal or called else None

    def _call(self, piece: Mapping[str, Any]) -> bool:
        """Add to the tool calls; return whether there was anything to add."""
        calls = piece.get("tool_calls") or []
        if isinstance(piece.get("function_call"), dict):  # OpenAI's older form is one call without an id.
            calls = [{"index": 0, "function": piece["function_call"]}]
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            raise NoChatAnswer("tool calls in no known form")
        for call in calls:
            kept, function = self._kept(call), call.get("function")
            function = function if isinstance(function, dict) else {}
            name, arguments = _text(function.get("name")), _text(function.get("arguments"))
            kept.id = kept.id or _text(call.get("id"))
            kept.name.append(name)
            kept.arguments.append(arguments)
            self.size += len(name) + len(arguments)
        return bool(calls)

    def _kept(self, call: Mapping[str, Any]) -> _Call:
        """Return the call that a piece belongs to: by its index, else by its id, else the last one."""
        place, id_ = call.get("index"), call.get("id")
        if not isinstance(place, int) or isinstance(place, bool):
            ids = [kept.id for kept in self._calls]
            new = not ids or (id_ and id_ not in ids)
            place = len(ids) if new else ids.index(id_) if id_ else len(ids) - 1
        if not 0 <= place <= min(len(self._calls), _MAX_CALLS):
            raise NoChatAnswer("tool calls out of order")
        if place == len(self._calls):
            self._calls.append(_Call())
        return self._calls[place]


def _content(content: Any) -> tuple[str, str]:
    """Return the text and the reasoning of a message's content: a text, nothing, or Mistral's parts."""
    if isinstance(content, str | None):
        return content or "", ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise NoChatAnswer("events that hold no text")
    text = "".join(_text(part.get("text")) for part in content if part.get("type") == "text")
    inner = [part["thinking"] for part in content if part.get("type") == "thinking" and part.get("thinking")]
    return text, "".join(thought if isinstance(thought, str) else "".join(_content(thought)) for thought in inner)


def _text(value: Any) -> str:
    """Return a text, empty for none. Raises NoChatAnswer for other values."""
    if not isinstance(value, str | None):
        raise NoChatAnswer("events that hold no text")
    return value or ""
