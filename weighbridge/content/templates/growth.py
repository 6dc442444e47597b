"""How long a template runs and how much it writes: loops over ranges, repetition, recursion, texts that double.

Only growth that a template causes by itself is judged; a loop over the messages is as long as they are. Not here: which
names it reaches for (flow).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from jinja2 import nodes
from jinja2.sandbox import MAX_RANGE

from weighbridge.content.findings import Findings
from weighbridge.content.templates.memory import DOCUMENTED

#: Steps that loops over literal ranges may make together.
MAX_STEPS = 10 * MAX_RANGE
#: Times that a text may be doubled outside of loops.
_MAX_DOUBLINGS = 16
#: Filters and methods that pad a text to a width, or write a requested amount.
_FILLING = frozenset(
    {"center", "ljust", "rjust", "zfill", "indent", "expandtabs", "batch", "slice", "tojson", "lipsum"}
)
#: Filters that give parts of a value.
_PARTS = frozenset({"dictsort", "first", "items", "last", "map"})
_WIDTH = re.compile(r"[%:{][^a-zA-Z%{}]*?([0-9]{5,})")


def inspect(tree: nodes.Template, key: str, findings: Findings) -> None:
    """Add what makes the template run without end or write without bound: `template.endless`."""
    for node in _walk(tree):
        where = f"{key}:{node.lineno}"
        if isinstance(node, nodes.Mul | nodes.Pow) and _is_too_much(node):
            findings.add("template.endless", "error", "It makes a value too large to hold.", where)
        elif isinstance(node, nodes.Filter | nodes.Call | nodes.Mod) and _fills_too_much(node):
            findings.add("template.endless", "error", "It fills a text up to a width too large to hold.", where)
        elif isinstance(node, nodes.For) and node.recursive and _repeats(node):
            findings.add("template.endless", "error", "Its loop calls itself with what it was given.", where)
    macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
    for macro in macros.values():
        if _recurses(macro, macros):
            text = "Its macro calls itself without going down into its argument."
            findings.add("template.endless", "error", text, f"{key}:{macro.lineno}")
    _inspect_doubling(tree, key, findings)
    if _steps(tree, macros, {}) > MAX_STEPS:
        findings.add("template.endless", "error", f"Its loops make more than {MAX_STEPS:,} steps.", key)


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.iter_child_nodes())


def _calls(body: list[nodes.Node]) -> Iterator[nodes.Call]:
    return (node for statement in body for node in _walk(statement) if isinstance(node, nodes.Call))


def _is_call_of(call: nodes.Call, name: str) -> bool:
    return isinstance(call.node, nodes.Name) and call.node.name == name


# Values


def _is_too_much(node: nodes.Mul | nodes.Pow) -> bool:
    left, right = _integer(node.left), _integer(node.right)
    if isinstance(node, nodes.Pow):
        return right is not None and (left.bit_length() if left is not None else 8) * right > MAX_RANGE
    sides = ((node.left, right), (node.right, left))
    return any(
        times is not None and times > MAX_RANGE and not isinstance(side, nodes.Name) and _integer(side) is None
        for side, times in sides
    )


def _fills_too_much(node: nodes.Filter | nodes.Call | nodes.Mod) -> bool:
    if isinstance(node, nodes.Mod):
        return _has_great_width(node.left)
    name = node.name if isinstance(node, nodes.Filter) else getattr(node.node, "attr", getattr(node.node, "name", ""))
    if name in _FILLING:
        given = [*(node.args or ()), *(keyword.value for keyword in node.kwargs or ())]
        return any((_integer(value) or 0) > MAX_RANGE for value in given)
    if name == "format":
        return _has_great_width(node.node if isinstance(node, nodes.Filter) else getattr(node.node, "node", None))
    return False


def _has_great_width(text: nodes.Node | None) -> bool:
    """Return whether a text has a conversion or field that is padded to a great width."""
    if not isinstance(text, nodes.Const) or not isinstance(text.value, str):
        return False
    return any(int(width[:20]) > MAX_RANGE for width in _WIDTH.findall(text.value))


def _integer(node: nodes.Node) -> int | None:
    if isinstance(node, nodes.Neg):
        inner = _integer(node.node)
        return -inner if inner is not None else None
    if isinstance(node, nodes.Const) and isinstance(node.value, int):
        return node.value
    if isinstance(node, nodes.Mul | nodes.Add | nodes.Pow):
        left, right = _integer(node.left), _integer(node.right)
        if left is None or right is None:
            return None
        if isinstance(node, nodes.Pow):
            return left**right if abs(left) < 2**32 and 0 <= right <= 64 else 2**64
        return left * right if isinstance(node, nodes.Mul) else left + right
    return None


# Loops


def _steps(node: nodes.Node, macros: dict[str, nodes.Macro], known: dict[str, int]) -> int:
    """Return how many steps nested loops over literal ranges make; a loop over data counts as one.

    Args:
        node: what runs.
        macros: the macros by name.
        known: the steps of the macros met so far; of one that is being worked out, 1.
    """
    if isinstance(node, nodes.For):
        body = max((_steps(part, macros, known) for part in node.iter_child_nodes(exclude=("iter",))), default=1)
        return max(_range_length(node.iter), 1) * body
    inner = max((_steps(child, macros, known) for child in node.iter_child_nodes()), default=1)
    if isinstance(node, nodes.Call):
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        if name in macros and name not in known:
            known[name] = 1
            known[name] = max((_steps(part, macros, known) for part in macros[name].body), default=1)
        return max(_range_length(node), inner, known.get(name, 1))
    return inner


def _range_length(node: nodes.Node) -> int:
    if not (isinstance(node, nodes.Call) and _is_call_of(node, "range")):
        return 0
    values = [_integer(argument) for argument in node.args]
    known = [value for value in values if value is not None]
    if len(known) != len(values) or not 1 <= len(known) <= 3:
        # With a bound that is data, the literal ones guarantee nothing.
        return 1
    try:
        numbers = range(*known)
    except ValueError:
        return 1
    step = abs(numbers.step)
    return (
        max(0, (abs(numbers.stop - numbers.start) + step - 1) // step)
        if (numbers.stop > numbers.start) == (numbers.step > 0)
        else 0
    )


# Recursion


def _recurses(macro: nodes.Macro, macros: dict[str, nodes.Macro]) -> bool:
    """Return whether a macro calls itself without taking a part of an argument, so that the calls never end."""
    waiting, seen = [macro], set()
    while waiting:
        current = waiting.pop()
        parameters = {parameter.name for parameter in current.args}
        for call in _calls(current.body):
            name = call.node.name if isinstance(call.node, nodes.Name) else ""
            if name not in macros or _descends([*call.args, *(word.value for word in call.kwargs)], parameters):
                continue
            if name == macro.name:
                return True
            if name not in seen:
                seen.add(name)
                waiting.append(macros[name])
    return False


def _repeats(loop: nodes.For) -> bool:
    return any(_is_call_of(call, "loop") and not _descends(call.args, set()) for call in _calls(loop.body))


def _descends(arguments: Sequence[nodes.Node], parameters: set[str]) -> bool:
    """Return whether an argument is a part of a value, or a name bound in between; data is not endlessly deep."""
    for argument in arguments:
        if isinstance(argument, nodes.Getattr | nodes.Getitem):
            return True
        if isinstance(argument, nodes.Filter) and argument.name in _PARTS:
            return True
        if isinstance(argument, nodes.Name) and argument.name not in parameters | DOCUMENTED:
            return True
        if not isinstance(argument, nodes.Name) and _descends(list(argument.iter_child_nodes()), parameters):
            return True
    return False


# Doubling


def _inspect_doubling(tree: nodes.Template, key: str, findings: Findings) -> None:
    """Look for assignments that make a text of itself twice: each doubles it."""
    looped = {id(node) for loop in tree.find_all(nodes.For) for node in _walk(loop) if isinstance(node, nodes.Assign)}
    doublings = 0
    for assign in tree.find_all(nodes.Assign):
        named = _spelled(assign.target)
        parts = [
            part
            for part in _walk(assign.node)
            if isinstance(part, nodes.Add | nodes.Concat)
            and sum(_spelled(leaf) == named for leaf in part.iter_child_nodes()) >= 2
        ]
        if not named or not parts:
            continue
        doublings += 1
        if doublings > _MAX_DOUBLINGS or id(assign) in looped:
            where = f"{key}:{assign.lineno}"
            findings.add("template.endless", "error", "It doubles a text again and again.", where)
            return


def _spelled(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.NSRef):
        return f"{node.name}.{node.attr}"
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return f"{node.node.name}.{node.attr}"
    return ""
