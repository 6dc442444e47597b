"""The closed list of globals that pickles may name, as data: a module for each framework that writes them.

An entry is there because of what its call runs with any arguments that the constraint lets through. For a class that is
what `__new__`, `__setstate__`, `__del__`, `__hash__` and `__eq__` do with any state. Frameworks whose source is not
read yet are named in docs/adr/0011.
Not here: how a global is looked up (pickles.globals) and how a use is judged (pickles.uses).
"""

from __future__ import annotations

from weighbridge.content.pickles.allowed import (
    boosting,
    lightning,
    numpy,
    pandas,
    python,
    scikit_learn,
    torch,
    transformers,
    vision,
)
from weighbridge.content.pickles.allowed.entry import Entry, Family, Group

_ROOMS = (python, numpy, torch, pandas, scikit_learn, boosting, transformers, lightning, vision)
GROUPS: tuple[Group, ...] = tuple(group for room in _ROOMS for group in room.GROUPS)
FAMILIES: tuple[Family, ...] = tuple(family for room in _ROOMS for family in room.FAMILIES)
ENTRIES: dict[tuple[str, str], Entry] = {key: entry for group in GROUPS for key, entry in group.entries().items()}

__all__ = ["ENTRIES", "FAMILIES", "GROUPS"]
