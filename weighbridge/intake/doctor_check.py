"""The result of one check of the doctor. Not here: the checks (doctor and doctor_prefect)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        what: its name.
        state: `ok`, `warning` (it works with limits), or `missing`.
        found: what was found.
        mend: the command that fixes it, or empty.
    """

    what: str
    state: State
    found: str
    mend: str = ""
