"""How an answer is generated: what is asked for, before the model's own defaults, before everybody's."""

from __future__ import annotations

from typing import Any

from weighbridge.handlers.interface import Handler

#: A short answer, the likeliest one.
_PLAIN: dict[str, Any] = {"max_tokens": 128, "temperature": 0.0, "top_p": 1.0}


def sampling(
    handler: Handler, *, max_tokens: int | None = None, temperature: float | None = None, top_p: float | None = None
) -> dict[str, Any]:
    """Return the options of a chat handler's `generate`.

    Args:
        handler: whose `generation_defaults` count where nothing is asked for.
        max_tokens: of the answer at most, or None where nobody said.
        temperature: 0 for the likeliest answer.
        top_p: share of the likeliest tokens that count.
    """
    asked = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p}
    own = getattr(handler, "generation_defaults", None) or {}
    said = _PLAIN | {name: own[name] for name in _PLAIN if own.get(name) is not None}
    said |= {name: value for name, value in asked.items() if value is not None}
    plain = {"max_new_tokens": said["max_tokens"], "temperature": said["temperature"], "top_p": said["top_p"]}
    # Not of the protocol: a handler of one's own may not take it.
    return plain if own.get("top_k") is None else plain | {"top_k": own["top_k"]}
