"""Filters and methods of Jinja and Python that a template may use, by what they do to a value.

Data as literals; what a name that is in no table gives, is a text made up while the template runs. Not here: those that
are worked out on constants (folding), and how they are applied (calls).
"""

from __future__ import annotations

#: Filters that give a number, a truth value or none.
NUMBER_FILTERS = frozenset({"abs", "count", "float", "int", "length", "round", "wordcount"})
#: Filters that leave a text as it is, or a part of it, or its letters in the other case: none of them makes a name.
KEEPING_FILTERS = frozenset(
    {"capitalize", "e", "escape", "forceescape", "lower", "reverse", "safe", "string", "title", "trim", "upper"}
)
#: Filters that give the same elements in another order, or fewer of them.
REARRANGING = frozenset({"reject", "rejectattr", "select", "selectattr", "sort", "unique"})
#: Filters that give the same elements in groups.
GROUPING = frozenset({"batch", "groupby", "slice"})
#: Filters that give one of the elements.
ONE_ELEMENT = frozenset({"first", "last", "max", "min", "random"})
#: The positions of an attribute's name in a filter, besides the keyword `attribute`.
ATTRIBUTE_POSITIONS = {
    **dict.fromkeys(("groupby", "rejectattr", "selectattr", "attr"), 0),
    "max": 1,
    "min": 1,
    "sort": 2,
    "sum": 0,
    "unique": 1,
    "join": 1,
}
#: Where a filter takes the name of a filter or test.
OPERATION_POSITIONS = {"map": 0, "select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}

#: Methods of texts, lists and dicts that give a number or a truth value.
NUMBER_METHODS = frozenset(
    {"count", "endswith", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier"}
    | {"islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper", "rfind", "rindex", "startswith"}
)
#: Methods of texts that give a part of the text, or its letters in the other case.
KEEPING_METHODS = frozenset(
    {"capitalize", "casefold", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "rpartition", "rsplit"}
    | {"rstrip", "split", "splitlines", "strip", "swapcase", "title", "upper"}
)
#: Methods of lists and dicts that take one value out; what follows the key is a value to take its place.
TAKING_METHODS = frozenset({"get", "pop", "popitem", "setdefault"})
#: Methods of lists and dicts that put values in.
PUTTING_METHODS = frozenset({"add", "append", "extend", "insert", "setdefault", "update"})
