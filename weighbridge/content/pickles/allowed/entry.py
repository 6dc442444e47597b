"""What the list of harmless globals consists of: entries, groups that share a source, and families of classes.

Not here: the list itself, in the other modules of this package, and who asks it (pickles.globals, pickles.uses).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

#: What a pickle may do with a global:
#: `value`: look it up, never call it; `class`: rebuild an instance without running its constructor, then fill it;
#: `constructor`: call it as a class, then fill the instance; `enum`: look up a member by value or by name;
#: `function`: call it.
Kind = Literal["value", "class", "constructor", "enum", "function"]
#: Which arguments make a call harmless (pickles.uses): `any` stands for all of them.
Arguments = Literal[
    "any",
    "data",
    "plain value",
    "tensor first",
    "latin-1 text",
    "class first",
    "class or text",
    "reconstructor",
    "factory",
    "member",
    "typing",
    "union",
    "torch subclass",
    "torch file",
]
#: Constraints without which a function runs whatever it is given.
_IN_SIGHT: frozenset[Arguments] = frozenset({"member", "torch file", "union", "torch subclass", "reconstructor"})


@dataclass(frozen=True)
class Entry:
    """What is known of one global.

    Attributes:
        kind: what a pickle may do with it.
        source: documentation or source code of the framework that writes it into pickles.
        arguments: which arguments make a call of it harmless.
        items: whether instances take items (APPEND, SETITEM, ADDITEMS) as containers do.
        objects: whether it is more than tensors and plain values.
    """

    kind: Kind
    source: str
    arguments: Arguments = "any"
    items: bool = False
    objects: bool = False

    @property
    def in_sight(self) -> bool:
        """Return whether it is harmless only where its arguments are seen: it may be called there, and not be kept."""
        return self.kind == "function" and self.arguments in _IN_SIGHT


@dataclass(frozen=True)
class Group:
    """Globals of one module that are alike.

    Attributes:
        modules: the module, or several that had them in different versions, separated by spaces.
        kind: of each.
        names: separated by spaces.
        source: as of `Entry`.
        arguments: as of `Entry`.
        items: as of `Entry`.
        objects: as of `Entry`.
        versions: of the framework that write them, where it is not all.
    """

    modules: str
    kind: Kind
    names: str
    source: str
    arguments: Arguments = "any"
    items: bool = False
    objects: bool = False
    versions: str = ""

    def entries(self) -> dict[tuple[str, str], Entry]:
        """Return an entry for each module and name."""
        entry = Entry(self.kind, self.source, self.arguments, self.items, self.objects)
        return {(module, name): entry for module in self.modules.split() for name in self.names.split()}


@dataclass(frozen=True)
class Family:
    """Classes of a package of which there are too many to name: each is known by where it is and how it is written.

    Attributes:
        modules: a regular expression for the whole name of the module.
        source: as of `Entry`.
        kind: of each.
        names: a regular expression for the whole name.
        besides: beginnings of modules that do not belong to it.
        arguments: as of `Entry`.
        objects: as of `Entry`.
    """

    modules: str
    source: str
    kind: Kind = "class"
    names: str = r"_?[A-Z][A-Za-z0-9_]*"
    besides: tuple[str, ...] = ()
    arguments: Arguments = "any"
    objects: bool = True

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(f"(?:{self.modules}) (?:{self.names})")

    @cached_property
    def entry(self) -> Entry:
        """The entry of each of its classes."""
        return Entry(self.kind, self.source, self.arguments, objects=self.objects)

    def holds(self, module: str, name: str) -> bool:
        """Return whether a global belongs to it."""
        if any(module == one or module.startswith(f"{one}.") for one in self.besides):
            return False
        return self._pattern.fullmatch(f"{module} {name}") is not None
