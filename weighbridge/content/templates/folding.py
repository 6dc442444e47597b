"""Arithmetic on a template's constants: the pure methods, filters and operators whose result can be known exactly.

Each works on every combination of the constants, within bounds; what has no exact result is a text made up while the
template runs. Not here: everything that is not a constant (expressions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from jinja2.filters import do_capitalize, do_title, do_trim

from weighbridge.content.templates.values import MADE, NUMBER, Value, constant, union

#: Combinations of constants that one operation is worked out for.
_MAX_COMBINATIONS = 256
#: What `%` and `str.format` may hold without making texts of any length: conversions without widths.
_PLAIN_PERCENT = re.compile(r"(?:[^%]|%[csdrx%])*\Z")
_PLAIN_FORMAT = re.compile(r"(?:[^{}]|\{\{|\}\}|\{\w*\})*\Z")

#: Filters of one text (and plain arguments) whose result is a text.
TEXT_FILTERS: dict[str, Callable[..., Any]] = {
    "capitalize": do_capitalize,
    "format": lambda text, *values: _percent(text, values),
    "join": lambda text, separator="": separator.join(text),
    "lower": lambda text: text.lower(),
    "replace": lambda text, old, new, count=-1: text.replace(old, new, count),
    "reverse": lambda text: text[::-1],
    "title": do_title,
    "trim": do_trim,
    "upper": lambda text: text.upper(),
}
#: Methods of one text (and plain arguments) whose result is a text.
TEXT_METHODS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(str, name)
        for name in (
            *("capitalize", "casefold", "join", "lower", "lstrip", "removeprefix", "removesuffix", "replace"),
            *("rstrip", "strip", "swapcase", "title", "upper"),
        )
    },
    "format": lambda text, *values: _formatted(text, values),
}
#: Methods of one text (and plain arguments) whose result is a list of texts.
LIST_METHODS: dict[str, Callable[..., Any]] = {
    name: getattr(str, name) for name in ("split", "rsplit", "splitlines", "partition", "rpartition")
}


def fold(function: Callable[..., Any], choices: Iterable[Value]) -> Value:
    """Return what a function gives for every combination of constants; MADE where one has no exact result.

    Of a function that gives lists, the result is what may be in them.
    """
    known = [sorted(value.known, key=repr) for value in choices]
    count = 1
    for constants in known:
        count *= len(constants)
    if not 0 < count <= _MAX_COMBINATIONS:
        return MADE
    return union(_result(function, combination) for combination in product(*known))


def add(left: str | int, right: str | int) -> Any:
    """Return the sum of two constants."""
    return left + right  # type: ignore[operator]


def concatenate(*parts: str | int) -> str:
    """Return constants concatenated by `~`."""
    return "".join(str(part) for part in parts)


def modulo(left: str | int, right: str | int) -> Any:
    """Return `left % right`: a rest, or a text with its conversions filled in."""
    if isinstance(left, str):
        return _percent(left, (right,))
    return left % right  # type: ignore[operator]


def item(text: str | int, index: str | int) -> Any:
    """Return one character of a text."""
    return text[index]  # type: ignore[index]


def cut(text: str | int, *bounds: str | int | None) -> Any:
    """Return a slice of a text."""
    start, stop, step = bounds
    return text[start:stop:step]  # type: ignore[index]


def _result(function: Callable[..., Any], arguments: tuple[str | int, ...]) -> Value:
    if sum(len(argument) for argument in arguments if isinstance(argument, str)) > 2000:
        return MADE
    try:
        result = function(*arguments)
    except ArithmeticError:
        return NUMBER
    except Exception:  # noqa: BLE001 (a hostile template may call anything with anything; Jinja would raise there too)
        return MADE
    if isinstance(result, list | tuple):
        return union(constant(part) for part in result)
    return constant(result)


def _percent(text: str, values: tuple[Any, ...]) -> str:
    if not _PLAIN_PERCENT.match(text):
        raise ValueError("a conversion with a width")
    return text % values


def _formatted(text: str, values: tuple[Any, ...]) -> str:
    if not _PLAIN_FORMAT.match(text):
        raise ValueError("a field that reaches into its argument, or has a width")
    return text.format(*values)
