"""A check of the doctor: one thing looked at. Not here: what is looked at (doctor and doctor_prefect)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        what: its name.
        state: `ok`, `warning` (works, but), or `missing`.
        found: what was seen.
        mend: the command that mends it, or empty.
    """

    what: str
    state: State
    found: str
    mend: str = ""
