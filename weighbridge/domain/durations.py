"""Durations as people write them: `90d`, `12h`, `8w`."""

from __future__ import annotations

import re
from datetime import timedelta

from weighbridge.domain.text import shown
from weighbridge.errors import UsageError

_DURATION = re.compile(r"([0-9]{1,6})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST = timedelta(days=36_500)


def parsed(text: str) -> timedelta | None:
    """Return the duration that a text says, or None where it says none."""
    matched = _DURATION.fullmatch(text)
    return int(matched[1]) * _UNITS[matched[2]] if matched is not None else None


def duration(text: str) -> timedelta:
    """Return the duration that a text says. Raises UsageError where it says none, or more than a hundred years."""
    found = parsed(text)
    if found is None or found > _LONGEST:
        raise UsageError(f"“{shown(text, 40)}” is no time.", "Write 90d, 12h or 8w.")
    return found
