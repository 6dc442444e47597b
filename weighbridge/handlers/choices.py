"""Several answers to the same messages, OpenAI's `n`: each one is a call of its handler's `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weighbridge.errors import InvalidRequest
from weighbridge.handlers.interface import ChatGeneration
from weighbridge.handlers.request import whole_number

_MAX_CHOICES = 128


def choices(handler: Any, messages: Sequence[dict[str, Any]], *, n: int, **options: Any) -> list[ChatGeneration]:
    """Return `n` answers, computed one after another.

    Args:
        handler: a chat handler, ours or a user's.
        messages: in OpenAI's form.
        n: the number of answers, 1 to 128.
        options: those of the handler's `generate`. With a `seed` the answers use this one, the next one, and so on.

    Raises:
        InvalidRequest: `n` is out of range, or the handler refuses an option.
        HandlerError, OutOfMemory, Cancelled: as the handler's `generate`; complete answers are lost.
    """
    if not whole_number(n) or not 1 <= n <= _MAX_CHOICES:
        raise InvalidRequest(f"n is {n!r}.", f"Ask for 1 to {_MAX_CHOICES} answers.")
    seed = options.pop("seed", None)
    seeds = [{} if seed is None else {"seed": seed + number} for number in range(n)]
    return [handler.generate(messages, **options, **seeded) for seeded in seeds]
