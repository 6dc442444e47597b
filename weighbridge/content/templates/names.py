"""Names that lead out of a template's data to Python's internals, and objects of Jinja's that do.

Not here: where in a template a name comes from (flow).
"""

from __future__ import annotations

import re
import string
import types
from collections.abc import Iterator

from jinja2.sandbox import (
    UNSAFE_ASYNC_GENERATOR_ATTRIBUTES,
    UNSAFE_COROUTINE_ATTRIBUTES,
    UNSAFE_GENERATOR_ATTRIBUTES,
)

#: Objects of Jinja's or a web framework's that lead to Python's internals; no chat template needs one.
GATEWAYS = {
    "self": "the template itself",
    "request": "a web framework's object",
    "config": "a web framework's object",
    "url_for": "a web framework's function",
    "get_flashed_messages": "a web framework's function",
}
#: Functions and classes of Jinja's that are harmless where they are called, and only there.
CALLABLES = {"lipsum": "Jinja's own function", "cycler": "Jinja's own class", "joiner": "Jinja's own class"}
#: Attributes without an underscore that lead out of the data.
_UNSAFE = (
    UNSAFE_GENERATOR_ATTRIBUTES
    | UNSAFE_COROUTINE_ATTRIBUTES
    | UNSAFE_ASYNC_GENERATOR_ATTRIBUTES
    | {"mro", "func_globals", "func_code", "f_globals", "f_builtins", "f_locals", "f_back", "tb_frame", "tb_next"}
    | {"gi_yieldfrom", "cr_origin", "co_consts", "co_names", "format_map", "im_func", "im_self", "im_class"}
)
_DUNDER = re.compile(r"__\w*?[a-zA-Z0-9]__")
_INTERNALS = frozenset(
    name
    for kind in (object, type, types.FunctionType, types.ModuleType, types.CodeType, types.MethodType, Exception)
    for name in dir(kind)
    if name.startswith("__")
) | {"__builtins__", "__import__", "__subclasses__", "__mro__", "__bases__", "__base__", "__wrapped__", "__path__"}


def leads_out(name: str, *, item: bool = False) -> bool:
    """Return whether an attribute's name, or a dotted path of names, leads to Python's internals.

    Args:
        name: the name.
        item: whether it is a subscript, which finds an item before an attribute: data has keys such as `_id`.
    """
    return any(
        part in _UNSAFE or ((part.startswith("__") or "__" in part[1:] if item else True) and part.startswith("_"))
        for part in name.split(".")
    )


def internals_in(text: str) -> list[str]:
    """Return the names of Python's internals in a constant that is not prose: such a text only serves for access."""
    if any(character.isspace() for character in text.strip()):
        return []
    return [name for name in _DUNDER.findall(text) if name in _INTERNALS]


def is_internal(name: str) -> bool:
    """Return whether a variable, keyword, macro or block has a name of Python's internals."""
    return name in _INTERNALS


def reached_by_format(text: str) -> str:
    """Return the first field of a format string (`str.format`) that leads to Python's internals, or an empty text."""
    return next((field for field in _fields(text) if any(leads_out(part) for part in _parts(field))), "")


def _fields(text: str, depth: int = 0) -> Iterator[str]:
    try:
        for _, field, spec, _ in string.Formatter().parse(text):
            if field:
                yield field
            if spec and depth < 3:
                yield from _fields(spec, depth + 1)
    except ValueError:
        # Python refuses the rest too, after the fields that it has read.
        return


def _parts(field: str) -> list[str]:
    """Return what a field looks up beyond its argument: `0.a[b]` gives a and b."""
    return [part for part in re.split(r"[.\[\]]", field)[1:] if part]


def is_unsafe_file(name: str) -> bool:
    """Return whether a template's name would lead out of the folder in which tools save it (CVE-2026-9856)."""
    return any(character in "/\\:" or ord(character) < 32 for character in name) or name in ("..", ".")
