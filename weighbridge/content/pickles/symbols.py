"""Values of the symbolic stack that can do something: globals, and what a pickle made by calling them.

Not here: values that only are data (stack), and what may be done with these (uses).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Import:
    """A global that a pickle would import.

    Attributes:
        module: its module, or empty when it is unknown before loading.
        name: its name there, perhaps dotted.
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.module else f"a global whose name is computed {self.name}".strip()


@dataclass(frozen=True)
class Made:
    """What a pickle made while it loads: an instance of a class, or what a function returned.

    Attributes:
        of: the class where it is known, else the function.
    """

    of: Import
