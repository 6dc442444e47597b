"""Checks of requests before the model runs: an invalid request is an error of the request, not of the model.

Not here: how messages become tokens (chat, vision).
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from weighbridge.errors import InvalidRequest


def checked_text(text: Any) -> str:
    """Return a text that can be encoded.

    Raises:
        InvalidRequest: it is not a text, or has half a surrogate pair.
    """
    if not isinstance(text, str):
        raise InvalidRequest(f"A value of the type {type(text).__name__} is in the place of a text.", "Send a text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"A text has half a surrogate pair at character {error.start + 1:,}.", "Send whole Unicode characters."
        ) from error
    return text


_MAX_PENALTY, _MAX_TOP_LOGPROBS = 2, 20
#: Variables of a template that a call itself sets.
_TEMPLATES_OWN = frozenset({"conversation", "chat_template", "tools", "documents", "tokenize", "add_generation_prompt"})


@dataclass(frozen=True)
class Wanted:
    """The options of one answer.

    Attributes:
        max_new_tokens: the most tokens of the answer.
        temperature: 0 chooses the most likely tokens.
        top_p: the share of the most likely tokens that may be sampled.
        stop: the strings that end the answer.
        top_k: how many of the most likely tokens may be sampled; 0 for all, None for the publisher's setting.
        seed: the seed of the sampling: the same one gives the same answer. None for an unknown one.
        presence_penalty: subtracted from a token's logit if the answer has it, -2 to 2.
        frequency_penalty: subtracted for each occurrence in the answer, -2 to 2.
        logprobs: whether to return the probability of each token.
        top_logprobs: how many of the most likely tokens to return for each place, 0 to 20.
        schema: JSON schema that the answer has to have the form of; empty for none.
    """

    max_new_tokens: int
    temperature: float
    top_p: float
    stop: tuple[str, ...] = ()
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: bool = False
    top_logprobs: int = 0
    schema: str = ""


def wanted(name: str, options: Mapping[str, Any]) -> Wanted:
    """Return the checked options of a call of `generate`.

    Args:
        name: of the model, for errors.
        options: of the call: those of `Wanted` but `schema`, of which the first three must be there; `response_format`,
            and `n` of 1, which asks for nothing.

    Raises:
        InvalidRequest: one is invalid, or models that run here do not take it.
    """
    check_one(options.get("n"))
    schema = schema_of(options.get("response_format"))
    given = {key: value for key, value in options.items() if value is not None and key not in ("n", "response_format")}
    unknown = sorted(given.keys() - (Wanted.__dataclass_fields__.keys() - {"schema"}))
    if unknown:
        raise InvalidRequest(f"{name} takes no {', '.join(unknown)}.", "Leave it out, or use a service that takes it.")
    check_sampling(options["max_new_tokens"], options["temperature"], options["top_p"])
    for key in ("top_k", "seed"):
        if not whole_number(given.get(key, 0)) or given.get(key, 0) < 0:
            raise InvalidRequest(f"{key} is {given[key]!r}.", "Send a whole number, 0 or more.")
    check_penalties_and_logprobs(given)
    return Wanted(**{**given, "stop": tuple(stop_strings(options.get("stop"))), "schema": schema})


def shared_sampling(options: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what two requests have in common that may be computed in one batch; empty for one that is alone in it.

    It is how tokens are chosen. Lengths, stop strings and penalties may differ. A seed is that of one answer, except at
    temperature 0, where nothing is drawn; probabilities and forms are recorded and kept for one answer.

    Args:
        options: those of a call of `generate`, unchecked.
    """
    temperature, seed = options.get("temperature"), options.get("seed")
    if options.get("logprobs") or asks_for_form(options.get("response_format")) or not _number(temperature):
        return ()
    if temperature == 0:
        return (0,)
    return () if seed is not None else (temperature, options.get("top_p"), options.get("top_k"))


def check_taken(name: str, method: Any, options: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for an option that a handler's method does not take."""
    taken = inspect.signature(method).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values()):
        return
    if unknown := sorted(options.keys() - taken.keys()):
        raise InvalidRequest(f"{name} takes no {', '.join(unknown)}.", "Leave it out.")


def check_sampling(max_new_tokens: Any, temperature: Any, top_p: Any) -> None:
    """Raise InvalidRequest for an invalid length, temperature or `top_p`."""
    if not whole_number(max_new_tokens) or max_new_tokens < 1:
        raise InvalidRequest(f"The most tokens of an answer are {max_new_tokens!r}.", "Send 1 or more.")
    if not _number(temperature) or temperature < 0:
        raise InvalidRequest(f"The temperature is {temperature!r}.", "Send 0 or more.")
    if not _number(top_p) or not 0 < top_p <= 1:
        raise InvalidRequest(f"top_p is {top_p!r}.", "Send more than 0, and at most 1.")


def check_penalties_and_logprobs(options: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for invalid `presence_penalty`, `frequency_penalty`, `logprobs` or `top_logprobs`."""
    for key in ("presence_penalty", "frequency_penalty"):
        value = options.get(key, 0)
        if not _number(value) or not -_MAX_PENALTY <= value <= _MAX_PENALTY:
            raise InvalidRequest(f"{key} is {value!r}.", f"Send -{_MAX_PENALTY} to {_MAX_PENALTY}.")
    told, top = options.get("logprobs", False), options.get("top_logprobs", 0)
    if not isinstance(told, bool):
        raise InvalidRequest(f"logprobs is {told!r}.", "Send true or false.")
    if not whole_number(top) or not 0 <= top <= _MAX_TOP_LOGPROBS:
        raise InvalidRequest(f"top_logprobs is {top!r}.", f"Send 0 to {_MAX_TOP_LOGPROBS}.")
    if top and not told:
        raise InvalidRequest("top_logprobs is set without logprobs.", "Send logprobs: true, too.")


def check_one(n: Any) -> None:
    """Raise InvalidRequest where a call asks for several answers, as `generate` returns one."""
    if n is not None and (not whole_number(n) or n != 1):
        raise InvalidRequest(
            f"n is {n!r}, and a call returns one answer.", "Use weighbridge.handlers.choices for more."
        )


def asks_for_form(response_format: Any) -> bool:
    """Return whether an answer must have a form; OpenAI's `{"type": "text"}` requires none."""
    return response_format is not None and response_format != {"type": "text"}


def schema_of(response_format: Any) -> str:
    """Return the JSON schema that OpenAI's `response_format` asks for, as JSON; empty where it asks for text.

    Raises:
        InvalidRequest: it is in no known form.
    """
    if not asks_for_form(response_format):
        return ""
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if kind == "json_object":
        return json.dumps({"type": "object"})
    named = response_format.get("json_schema") if kind == "json_schema" else None
    schema = named.get("schema") if isinstance(named, Mapping) else None
    if not isinstance(schema, Mapping):
        raise InvalidRequest(
            "response_format is in no known form.",
            'Send {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"name": …, "schema": …}}.',
        )
    return json.dumps(schema, default=dict)


def check_top_k(top_k: Any) -> None:
    """Raise InvalidRequest for an invalid number of documents; None means all of them."""
    if top_k is not None and (not whole_number(top_k) or top_k < 0):
        raise InvalidRequest(f"top_k is {top_k!r}.", "Send 0 or more.")


def stop_strings(stop: Any) -> list[str]:
    """Return the strings that end an answer, without empty ones; a single string is allowed, as in OpenAI's API.

    Raises:
        InvalidRequest: they are not strings.
    """
    if stop is not None and not isinstance(stop, str | list | tuple):
        raise InvalidRequest(f"stop is of the type {type(stop).__name__}.", "Send a string, or a list of strings.")
    return [checked_text(word) for word in ([stop] if isinstance(stop, str) else stop or ()) if word != ""]


def template_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Remove the template's variables from a call's options and return them in the form of templates.

    Raises:
        InvalidRequest: tools or the choice of one have an unknown form.
    """
    tools, choice = options.pop("tools", None) or [], options.pop("tool_choice", None) or "auto"
    further: Mapping[str, Any] = options.pop("chat_template_kwargs", None) or {}
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, dict) for tool in tools):
        raise InvalidRequest("tools have an unknown form.", 'Send a list of {"type": "function", "function": …}.')
    if choice not in ("auto", "none"):
        raise InvalidRequest(f"{name} cannot be forced to call a tool.", "Send tool_choice auto or none.")
    if not isinstance(further, Mapping) or _TEMPLATES_OWN.intersection(further):
        raise InvalidRequest("chat_template_kwargs have an unknown form.", 'Send {"enable_thinking": false} or so.')
    return {**further, **({"tools": list(tools)} if tools and choice == "auto" else {})}


def text_messages(messages: Sequence[Any], name: str) -> list[dict[str, Any]]:
    """Return messages whose content is text, for a model that reads only text; parts are joined by line breaks.

    Args:
        messages: in OpenAI's form: content is a text, nothing, or parts `{"type": "text", "text": …}`.
        name: of the model, for errors.

    Raises:
        InvalidRequest: they have another form, or parts that are not text.
    """
    if isinstance(messages, str | dict) or not messages:
        raise InvalidRequest("There are no messages.", 'Send a list of {"role": …, "content": …}.')
    return [{**_called(message), "content": _content(message, name)} for message in map(_message, messages)]


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise InvalidRequest("A message has no role.", 'Send {"role": "user", "content": …}.')
    return message


def _called(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message whose tool calls have objects as arguments, as templates need; OpenAI's are JSON text."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    return {**message, "tool_calls": [_with_object(call) for call in calls]}


def _with_object(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        value = json.loads(function["arguments"] or "{}")
    except (ValueError, RecursionError):
        return call
    return {**call, "function": {**function, "arguments": value}} if isinstance(value, dict) else call


def _content(message: dict[str, Any], name: str) -> str:
    content = message.get("content")
    if not isinstance(content, list | tuple):
        return checked_text("" if content is None else content)
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "refusal"):
            raise InvalidRequest(
                f"A part of a message is of the type {str(kind)[:40]!r}, and {name} reads only text.",
                'Send {"type": "text", "text": …}, or use a vision model.',
            )
        texts.append(checked_text(part.get(kind)))
    return "\n".join(texts)


def whole_number(value: Any) -> TypeGuard[int]:
    """Return whether a value is an integer; JSON's true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
