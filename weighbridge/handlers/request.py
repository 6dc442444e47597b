"""What a model is asked for, checked before it is asked: a wrong request is the request's fault, not the model's.

Not here: how messages become tokens (chat, vision).
"""

from __future__ import annotations

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
