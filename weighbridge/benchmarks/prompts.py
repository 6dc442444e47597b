"""Prompts of a fixed length for measuring speeds, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from weighbridge.errors import HandlerError

#: Common words: an endpoint's tokenizer is not known, and most have one token for each of these.
_WORDS = (  # noqa: SIM905 (a list of 36 lines says no more)
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother"
).split()


def random_tokens(handler: Any, count: int, seed: int) -> list[int]:
    """Return tokens of a handler's model, without special ones, in random order.

    Raises:
        HandlerError: it has only special ones.
    """
    dice = random.Random(seed)  # noqa: S311 (a benchmark, not a secret)
    special = set(handler.tokenizer.all_special_ids)
    size = len(handler.tokenizer)
    table = getattr(getattr(handler, "model", None), "get_input_embeddings", lambda: None)()
    if table is not None:  # Some tokenizers have more tokens than their models.
        size = min(size, table.weight.shape[0])
    if special.issuperset(range(size)):
        raise HandlerError(f"The tokenizer of {handler.name} has only special tokens.", "Its files may be broken.")
    found: list[int] = []
    while len(found) < count:
        token = dice.randrange(size)
        if token not in special:
            found.append(token)
    return found


def random_messages(count: int, seed: int) -> Sequence[dict[str, Any]]:
    """Return a chat of one message with so many words."""
    dice = random.Random(seed)  # noqa: S311
    return [{"role": "user", "content": " ".join(dice.choice(_WORDS) for _ in range(count))}]
