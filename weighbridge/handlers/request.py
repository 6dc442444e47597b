"""What a model is asked for, checked before it is asked: a wrong request is the request's fault, not the model's.

Not here: how messages become tokens (chat, vision).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from weighbridge.errors import InvalidRequest


def checked_text(text: Any) -> str:
    """Return a text that can be encoded.

    Raises:
        InvalidRequest: it is no text, or holds half a surrogate pair.
    """
    if not isinstance(text, str):
        raise InvalidRequest(f"A value of the type {type(text).__name__} is where a text is expected.", "Send a text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"A text holds half a surrogate pair at letter {error.start + 1:,}.", "Send whole Unicode characters."
        ) from error
    return text


def check_sampling(max_new_tokens: Any, temperature: Any, top_p: Any) -> None:
    """Raise InvalidRequest for a length, a temperature or a `top_p` that cannot be."""
    if not isinstance(max_new_tokens, int) or isinstance(max_new_tokens, bool) or max_new_tokens < 1:
        raise InvalidRequest(f"The most tokens of an answer are {max_new_tokens!r}.", "Ask for 1 or more.")
    if not _number(temperature) or temperature < 0:
        raise InvalidRequest(f"The temperature is {temperature!r}.", "Ask for 0 or more.")
    if not _number(top_p) or not 0 < top_p <= 1:
        raise InvalidRequest(f"top_p is {top_p!r}.", "Ask for more than 0, and 1 at most.")


def check_top_k(top_k: Any) -> None:
    """Raise InvalidRequest for a number of documents that cannot be; None asks for all of them."""
    if top_k is not None and (not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 0):
        raise InvalidRequest(f"top_k is {top_k!r}.", "Ask for 0 documents or more.")


def stop_strings(stop: Any) -> list[str]:
    """Return the strings that end an answer, without empty ones; a single string is one of them, as OpenAI has it.

    Raises:
        InvalidRequest: they are no texts.
    """
    if stop is not None and not isinstance(stop, str | list | tuple):
        raise InvalidRequest(f"stop is of the type {type(stop).__name__}.", "Send a string, or a list of strings.")
    return [checked_text(word) for word in ([stop] if isinstance(stop, str) else stop or ()) if word != ""]


def text_messages(messages: Sequence[Any], name: str) -> list[dict[str, Any]]:
    """Return messages whose content is text, for a model that reads nothing else; parts are joined by line breaks.

    Args:
        messages: in OpenAI's form: content is a text, nothing, or parts `{"type": "text", "text": …}`.
        name: of the model, for errors.

    Raises:
        InvalidRequest: they have another form, or parts that are no text.
    """
    if isinstance(messages, str | dict) or not messages:
        raise InvalidRequest("There are no messages.", 'Send a list of {"role": …, "content": …}.')
    return [{**message, "content": _content(message, name)} for message in map(_message, messages)]


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise InvalidRequest("A message has no role.", 'Send {"role": "user", "content": …}.')
    return message


def _content(message: dict[str, Any], name: str) -> str:
    content = message.get("content")
    if not isinstance(content, list | tuple):
        return checked_text("" if content is None else content)
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "refusal"):
            raise InvalidRequest(
                f"A part of a message is of the type {str(kind)[:40]!r}, and {name} reads text alone.",
                'Send {"type": "text", "text": …}, or ask a model that sees.',
            )
        texts.append(checked_text(part.get(kind)))
    return "\n".join(texts)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
