"""The options of an answer: those of the request, else the model's own defaults, else the general defaults."""

from __future__ import annotations

from typing import Any

from weighbridge.handlers.interface import Handler

#: The general defaults: a short answer, the most likely one.
_PLAIN: dict[str, Any] = {"max_tokens": 128, "temperature": 0.0, "top_p": 1.0}


def sampling(
    handler: Handler, *, max_tokens: int | None = None, temperature: float | None = None, top_p: float | None = None
) -> dict[str, Any]:
    """Return the options of a chat handler's `generate`.

    Args:
        handler: its `generation_defaults` apply where the request has no value.
        max_tokens: the most tokens of the answer, or None for the default.
        temperature: 0 for the most likely answer.
        top_p: the share of the most likely tokens that may be sampled.
    """
    asked = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p}
    own = getattr(handler, "generation_defaults", None) or {}
    said = _PLAIN | {name: own[name] for name in _PLAIN if own.get(name) is not None}
    said |= {name: value for name, value in asked.items() if value is not None}
    plain = {"max_new_tokens": said["max_tokens"], "temperature": said["temperature"], "top_p": said["top_p"]}
    # top_p is not in the protocol: a user's handler may not take it.
    return plain if own.get("top_k") is None else plain | {"top_k": own["top_k"]}
