"""Numbers of weights and amounts of memory as people write them: `8B`, `135M`, `16`, `24GB`, `80GiB`.

Not here: how they are shown (domain.estimates.shown).
"""

from __future__ import annotations

import re

from weighbridge.errors import UsageError

_WEIGHTS = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?(?:e[0-9]{1,2})?)([kmbt]?)")
_MEMORY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(|[kmgt]i?b?|b)")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
#: The largest number that a database compares.
_MOST = 2**63 - 1


def weights_number(text: str) -> int:
    """Return a number of weights: `135M`, `7b`, `1e9`. Raises UsageError."""
    found = _WEIGHTS.fullmatch(text.strip().lower())
    if not found:
        raise UsageError(f"“{text}” is not a number of weights.", "Write 135M, 7b or 10e9.")
    return min(round(float(found[1]) * _UNITS[found[2]]), _MOST)


def memory_size(text: str) -> int:
    """Return bytes of memory: `16` and `16GB` are decimal gigabytes, `80GiB` binary ones. Raises UsageError."""
    found = _MEMORY.fullmatch(text.strip().lower())
    if not found:
        raise UsageError(f"“{text}” is not an amount of memory.", "Write 16, 24GB or 80GiB.")
    unit = found[2] or "gb"
    if unit == "b":
        return round(float(found[1]))
    factor: int = (1024 if "i" in unit else 1000) ** _POWERS[unit[0]]
    return min(round(float(found[1]) * factor), _MOST)
