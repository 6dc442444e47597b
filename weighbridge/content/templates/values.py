"""The possible values of an expression of a template: exact constants, the user's data, texts computed while it runs.

A value is a set of possibilities; two are joined where ways through the template meet. Not here: how expressions make
values of values (expressions), and the constants' arithmetic (folding).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Flag, auto

#: Constants that one value keeps apart; a value of more is a text made up while the template runs.
MAX_KNOWN = 128
#: Characters of a constant that is followed exactly.
MAX_KNOWN_LENGTH = 1000


class Kind(Flag):
    """The kinds of a value besides its known constants and places.

    NUMBER is a number, a truth value or none of anything, which as a subscript reaches no attribute. DATA comes from
    the user: messages, tools, documents. GIVEN is an undocumented input: transformers gives templates every special
    token of the tokenizer by name, so it may be a text of the publisher. MADE is a text computed while the template
    runs. OBJECT is a function, a method, or anything else that is not data.
    """

    NOTHING = 0
    NUMBER = auto()
    DATA = auto()
    GIVEN = auto()
    MADE = auto()
    OBJECT = auto()


@dataclass(frozen=True)
class Value:
    """The possibilities of one expression.

    Attributes:
        kinds: what it may be that is not known exactly.
        known: texts and whole numbers that it may be exactly.
        places: lists, dicts, namespaces and macros of the template that it may be (`memory`).
    """

    kinds: Kind = Kind.NOTHING
    known: frozenset[str | int] = frozenset()
    places: frozenset[int] = frozenset()

    def __or__(self, other: Value) -> Value:
        if other in (self, NOTHING):
            return self
        known = self.known | other.known
        joined = Value(self.kinds | other.kinds, known, self.places | other.places)
        return joined if len(known) <= MAX_KNOWN else joined.widened()

    def widened(self) -> Value:
        """Return the value with its constants forgotten: texts become MADE, numbers NUMBER."""
        kinds = self.kinds
        for constant in self.known:
            kinds |= Kind.MADE if isinstance(constant, str) else Kind.NUMBER
        return Value(kinds, frozenset(), self.places)

    @property
    def texts(self) -> list[str]:
        """The texts that it may be exactly, sorted."""
        return sorted(constant for constant in self.known if isinstance(constant, str))

    @property
    def textual(self) -> bool:
        """Return whether it may be a text of the template's own."""
        return Kind.MADE in self.kinds or bool(self.texts)

    @property
    def exact(self) -> bool:
        """Return whether it has only known constants."""
        return not self.kinds and not self.places and bool(self.known)

    @property
    def from_outside(self) -> bool:
        """Return whether it may be data or an undocumented input."""
        return bool(self.kinds & (Kind.DATA | Kind.GIVEN))


NOTHING = Value()
NUMBER = Value(Kind.NUMBER)
DATA = Value(Kind.DATA)
GIVEN = Value(Kind.GIVEN)
MADE = Value(Kind.MADE)
OBJECT = Value(Kind.OBJECT)


def constant(value: object) -> Value:
    """Return the value of a constant of the template."""
    if isinstance(value, str):
        return Value(known=frozenset({value})) if len(value) <= MAX_KNOWN_LENGTH else MADE
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31:
        return Value(known=frozenset({value}))
    return NUMBER


def union(values: Iterable[Value]) -> Value:
    """Return the value that may be any of these."""
    joined = NOTHING
    for value in values:
        joined |= value
    return joined
