"""Following a template: what each statement binds, until every variable's possible values are known.

Every path through the template is followed at once, repeatedly, until nothing new is learnt; only then are names
judged. Not here: expressions (expressions, calls), names of scopes (scopes), and how long a template runs (growth).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jinja2 import nodes

from weighbridge.content.findings import Findings
from weighbridge.content.templates import scopes
from weighbridge.content.templates.calls import Calls, literals
from weighbridge.content.templates.expressions import TooIntertwined
from weighbridge.content.templates.judgement import TemplateJudgement
from weighbridge.content.templates.memory import ARGUMENTS, CALLED, CALLER, LOOP, TemplateMemory
from weighbridge.content.templates.values import MADE, NOTHING, NUMBER, Value, constant, union

#: The most passes through a template; constants are distinguished only in the first ones, so a dozen is enough.
_MAX_PASSES = 60
_LOOP_NUMBERS = ("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0")


def follow(tree: nodes.Template, key: str, findings: Findings) -> None:
    """Add what is wrong with the names by which a template reaches for things.

    Raises:
        TooIntertwined: it cannot be followed within bounds.
        RecursionError: it is nested too deeply.
    """
    scopes.separate(tree)
    first: dict[str, bool] = {}
    stored = {"varargs", "kwargs", "caller"}
    for name, is_stored in _names(tree):
        first.setdefault(name, is_stored)
        if is_stored:
            stored.add(name)
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    read_before = {name for name, is_stored in first.items() if not is_stored} - macros
    memory = TemplateMemory(stored, read_before, _own_keys(tree))
    judgement = TemplateJudgement(key, findings)
    flow = _Flow(memory, Calls(memory, judgement))
    for _ in range(_MAX_PASSES):
        memory.begin()
        flow.run(tree.body)
        if not memory.changed:
            break
    else:
        raise TooIntertwined
    judgement.listening = True
    flow.run(tree.body)


def _names(node: nodes.Node) -> Iterator[tuple[str, bool]]:
    """Yield every name in the order in which it is met, and whether it gets a value there."""
    stack: list[nodes.Node] = [node]
    while stack:
        found = stack.pop()
        if isinstance(found, nodes.Name):
            yield found.name, found.ctx != "load"
        elif isinstance(found, nodes.NSRef):
            yield found.name, False
        elif isinstance(found, nodes.Macro):
            yield found.name, True
        children = list(found.iter_child_nodes())
        if isinstance(found, nodes.Assign | nodes.For):
            # What is assigned is worked out before the target is bound.
            children = [*(child for child in children[1:2]), children[0], *children[2:]]
        stack.extend(reversed(children))


def _own_keys(tree: nodes.Template) -> frozenset[tuple[str, str]]:
    """Return the names that are always an element of a variable, each with that variable.

    `for key in categories: categories[key]` always finds an item, for any content of the variable.
    """
    bound: dict[str, list[str]] = {}
    for name, is_stored in _names(tree):
        if is_stored:
            bound.setdefault(name, []).append("")
    for loop in tree.find_all(nodes.For):
        if isinstance(loop.target, nodes.Name) and isinstance(loop.iter, nodes.Name):
            bound[loop.target.name].append(loop.iter.name)
    return frozenset((name, over[1]) for name, over in bound.items() if len(over) == 2 and over[0] == "" and over[1])


class _Flow:
    """Runs statements over a memory."""

    def __init__(self, memory: TemplateMemory, calls: Calls) -> None:
        self._memory = memory
        self._calls = calls
        self._value = calls.expressions.value
        self._kinds: dict[type[nodes.Node], Callable[[Any], None]] = {
            nodes.Output: self._output,
            nodes.Assign: lambda node: self._bind(node.target, self._value(node.node), node.node),
            nodes.AssignBlock: self._assign_block,
            nodes.For: self._for,
            nodes.Macro: self._macro,
            nodes.CallBlock: self._call_block,
            nodes.FilterBlock: self._filter_block,
            nodes.With: self._with,
        }
        loop = Value(places=frozenset({LOOP}))
        for name in _LOOP_NUMBERS:
            memory.put(loop, name, NUMBER)
        memory.bind("varargs", Value(places=frozenset({ARGUMENTS})))
        memory.bind("kwargs", Value(places=frozenset({ARGUMENTS})))
        memory.bind("caller", Value(places=frozenset({CALLER})))

    def run(self, body: Sequence[nodes.Node]) -> None:
        """Run statements; of those without a meaning of their own, the parts."""
        for node in body:
            if isinstance(node, nodes.Expr):
                self._value(node)
            elif type(node) in self._kinds:
                self._kinds[type(node)](node)
            else:
                self.run(list(node.iter_child_nodes()))

    def _output(self, node: nodes.Output) -> None:
        self._all(node.nodes)

    def _all(self, expressions: Sequence[nodes.Node]) -> list[Value]:
        return [self._value(expression) for expression in expressions]

    def _bind(self, target: nodes.Node, value: Value, source: nodes.Node | None = None) -> None:
        if isinstance(target, nodes.Name):
            self._memory.bind(target.name, value)
        elif isinstance(target, nodes.NSRef):
            self._memory.put(self._memory.variable(target.name), target.attr, value)
        elif isinstance(target, nodes.Tuple):
            if isinstance(source, nodes.Tuple) and len(source.items) == len(target.items):
                for part, given in zip(target.items, source.items, strict=True):
                    self._bind(part, self._value(given), given)
                return
            for part in target.items:
                self._bind(part, self._memory.elements(value))

    def _for(self, node: nodes.For) -> None:
        memory = self._memory
        over = self._value(node.iter)
        loop = Value(places=frozenset({LOOP}))
        if node.recursive:
            over |= memory.field(loop, CALLED)
        paired = _paired(node.iter)
        if paired is not None and isinstance(node.target, nodes.Tuple) and len(node.target.items) == 2:
            holder = self._value(paired)
            self._bind(node.target.items[0], memory.keys(holder))
            self._bind(node.target.items[1], memory.contents(holder))
        else:
            self._bind(node.target, memory.elements(over))
        for name in ("previtem", "nextitem"):
            memory.put(loop, name, memory.elements(over))
        self._value(node.test)
        self.run(node.body)
        self.run(node.else_)

    def _macro(self, node: nodes.Macro) -> None:
        place = self._memory.place(node)
        self._memory.macros[place] = node
        macro = Value(places=frozenset({place}))
        self._memory.bind(node.name, macro)
        parameters = union(constant(scopes.spelled(parameter.name)) for parameter in node.args)
        self._memory.put(macro, "name", constant(scopes.spelled(node.name)))
        self._memory.put(macro, "arguments", self._memory.new(node, parameters, "arguments"))
        self._parameters(node)
        self.run(node.body)

    def _parameters(self, node: nodes.Macro | nodes.CallBlock) -> None:
        for parameter in node.args:
            self._memory.bind(parameter.name, NOTHING)
        for parameter, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
            self._memory.bind(parameter.name, self._value(default))

    def _call_block(self, node: nodes.CallBlock) -> None:
        given = self._memory.field(Value(places=frozenset({CALLER})), CALLED)
        for parameter in node.args:
            self._memory.bind(parameter.name, given)
        self._parameters(node)
        self._value(node.call)
        self.run(node.body)

    def _assign_block(self, node: nodes.AssignBlock) -> None:
        value = self._written(node.body)
        self._bind(node.target, self._filtered(node.filter, value) if node.filter else value)

    def _filter_block(self, node: nodes.FilterBlock) -> None:
        self._filtered(node.filter, self._written(node.body))

    def _filtered(self, node: nodes.Filter, value: Value) -> Value:
        """Return the result of a block's filters for its text; the innermost filter has no expression."""
        if isinstance(node.node, nodes.Filter):
            value = self._filtered(node.node, value)
        return self._calls.filtered(node, value)

    def _written(self, body: Sequence[nodes.Node]) -> Value:
        """Return the text that a block writes."""
        if all(isinstance(node, nodes.Output) for node in body):
            parts = [part for node in body if isinstance(node, nodes.Output) for part in self._all(node.nodes)]
            return literals(parts) if parts else constant("")
        self.run(body)
        return MADE

    def _with(self, node: nodes.With) -> None:
        for target, source in zip(node.targets, node.values, strict=True):
            self._bind(target, self._value(source), source)
        self.run(node.body)


def _paired(node: nodes.Node | None) -> nodes.Node | None:
    """Return the dict whose pairs an expression gives, key first."""
    if isinstance(node, nodes.Filter):
        return node.node if node.name in ("dictsort", "items") else None
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr == "items":
        return node.node.node
    return None
