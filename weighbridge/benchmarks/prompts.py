"""Prompts of a fixed length, the same for the same seed: what speeds are measured with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

#: Ordinary words: an endpoint's tokenizer is not known, and most have one token for each of these.
_WORDS = (  # noqa: SIM905 (a list of 36 lines says no more)
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother"
).split()


def random_tokens(tokenizer: Any, count: int, seed: int) -> list[int]:
    """Return tokens that are no special ones, in random order."""
    dice = random.Random(seed)  # noqa: S311 (a benchmark, no secret)
    special = set(tokenizer.all_special_ids)
    size = len(tokenizer)
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
