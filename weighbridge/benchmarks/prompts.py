"""Prompts of a fixed length, the same for the same seed: what speeds are measured with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from weighbridge.errors import HandlerError

#: Ordinary words: an endpoint's tokenizer is not known, and most have one token for each of these.
_WORDS = (  # noqa: SIM905 (a list of 36 lines says no more)
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother"
).split()


def random_tokens(handler: Any, count: int, seed: int) -> list[int]:
    """Return tokens of a handler's model that are no special ones, in random order.

    Raises:
        HandlerError: it has none.
    """
    dice = random.Random(seed)  # noqa: S311 (a benchmark, no secret)
    special = set(handler.tokenizer.all_special_ids)
    size = len(handler.tokenizer)
    table = getattr(getattr(handler, "model", None), "get_input_embeddings", lambda: None)()
    if table is not None:  # Some tokenizers have more words than their models.
        size = min(size, table.weight.shape[0])
    if special.issuperset(range(size)):
        raise HandlerError(f"The tokenizer of {handler.name} has special tokens alone.", "Its files may be broken.")
    found: list[int] = []
    while len(found) < count:
        token = dice.randrange(size)
        if token not in special:
            found.append(token)
    return found


def random_messages(count: int, seed: int) -> Sequence[dict[str, Any]]:
    """Return a chat of one message of so many words."""
    dice = random.Random(seed)  # noqa: S311
    return [{"role": "user", "content": " ".join(dice.choice(_WORDS) for _ in range(count))}]
