"""The possible values of a template's expressions, and the names that they access.

Not here: statements (flow), calls and filters (calls), and what is wrong with a name (judgement).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from weighbridge.content.templates import folding
from weighbridge.content.templates.judgement import TemplateJudgement
from weighbridge.content.templates.memory import LOOP, TemplateMemory
from weighbridge.content.templates.values import MADE, NOTHING, NUMBER, OBJECT, Kind, Value, constant, union

#: Expressions that one template may have worked out, all passes together; the largest in use need about 200,000.
MAX_STEPS = 3_000_000
_FUNCTIONS = frozenset({"raise_exception", "strftime_now", "range", "dict", "namespace", "lipsum", "cycler", "joiner"})


class TooIntertwined(Exception):
    """A template cannot be followed within bounds."""


class Expressions:
    """Works out expressions over a memory."""

    def __init__(self, memory: TemplateMemory, judgement: TemplateJudgement, call: Callable[..., Value]) -> None:
        """Take the memory, who judges names, and what works out calls, filters and tests."""
        self.memory = memory
        self.judgement = judgement
        self._call = call
        self._steps = 0
        self._kinds: dict[type[nodes.Node], Callable[[Any], Value]] = {
            nodes.Const: lambda node: constant(node.value),
            nodes.TemplateData: lambda node: constant(node.data),
            nodes.Name: self._name,
            nodes.NSRef: lambda node: memory.field(memory.variable(node.name), node.attr),
            nodes.List: self._list,
            nodes.Tuple: self._list,
            nodes.Dict: self._dict,
            nodes.Getattr: self._getattr,
            nodes.Getitem: self._getitem,
            nodes.Concat: self._concat,
            nodes.Add: self._add,
            nodes.Mod: self._modulo,
            nodes.Mul: self._multiply,
            nodes.And: self._either,
            nodes.Or: self._either,
            nodes.CondExpr: self._condition,
            **dict.fromkeys((nodes.Filter, nodes.Test, nodes.Call), lambda node: self._call(node)),
        }

    def value(self, node: nodes.Node | None) -> Value:
        """Return the possible values of an expression; NOTHING without one."""
        if node is None:
            return NOTHING
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooIntertwined
        work_out = self._kinds.get(type(node))
        if work_out is not None:
            return work_out(node)
        for child in node.iter_child_nodes():
            self.value(child.expr if isinstance(child, nodes.Operand) else child)
        # Comparisons, negations and the rest of arithmetic.
        return NUMBER if isinstance(node, nodes.Compare | nodes.UnaryExpr | nodes.BinExpr) else MADE

    def item(self, receiver: Value, key: Value) -> Value:
        """Return what `receiver[key]` may be."""
        found = NOTHING
        for text in key.texts:
            found |= self.memory.field(receiver, text)
        numbers = frozenset(number for number in key.known if not isinstance(number, str))
        if numbers and receiver.texts:
            found |= folding.fold(folding.item, (Value(known=frozenset(receiver.texts)), Value(known=numbers)))
        if numbers or key.kinds:
            rest = receiver if key.kinds else Value(receiver.kinds, frozenset(), receiver.places)
            found |= self.memory.elements(rest)
        if key.kinds & (Kind.DATA | Kind.GIVEN | Kind.MADE) and (receiver.textual or Kind.OBJECT in receiver.kinds):
            found |= OBJECT
        return found

    def _name(self, node: nodes.Name) -> Value:
        if not self.memory.is_bound(node.name):
            if node.name in _FUNCTIONS:
                return OBJECT
            if node.name == "loop":
                return Value(places=frozenset({LOOP}))
        return self.memory.variable(node.name)

    def _list(self, node: nodes.List | nodes.Tuple) -> Value:
        return self.memory.new(node, union(self.value(element) for element in node.items))

    def _dict(self, node: nodes.Dict) -> Value:
        made = self.memory.new(node)
        for pair in node.items:
            self.memory.put_key(made, self.value(pair.key), self.value(pair.value))
        return made

    def _getattr(self, node: nodes.Getattr) -> Value:
        receiver = self.value(node.node)
        self.judgement.attribute(constant(node.attr), receiver, node)
        return self.memory.field(receiver, node.attr)

    def _getitem(self, node: nodes.Getitem) -> Value:
        receiver = self.value(node.node)
        if isinstance(node.arg, nodes.Slice):
            return self._slice(receiver, node.arg)
        key = self.value(node.arg)
        names = (getattr(node.arg, "name", ""), getattr(node.node, "name", ""))
        own = names in self.memory.own_keys and isinstance(node.arg, nodes.Name) and isinstance(node.node, nodes.Name)
        self.judgement.subscript(Value(key.kinds & ~Kind.GIVEN, key.known) if own else key, receiver, node)
        return self.item(receiver, key)

    def _slice(self, receiver: Value, node: nodes.Slice) -> Value:
        bounds = [self.value(bound) for bound in (node.start, node.stop, node.step)]
        if not receiver.texts:
            return receiver
        rest = Value(receiver.kinds, frozenset(), receiver.places)
        if any(bound != NOTHING and not bound.exact for bound in bounds):
            return rest | MADE
        present = [bound for bound in bounds if bound != NOTHING]

        def cut(text: str | int, *given: str | int) -> Any:
            left = iter(given)
            return folding.cut(text, *(next(left) if bound != NOTHING else None for bound in bounds))

        return rest | folding.fold(cut, (Value(known=frozenset(receiver.texts)), *present))

    def _concat(self, node: nodes.Concat) -> Value:
        parts = [self.value(part) for part in node.nodes]
        return folding.fold(folding.concatenate, parts) if all(part.exact for part in parts) else MADE

    def _add(self, node: nodes.Add) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if left.exact and right.exact:
            return folding.fold(folding.add, (left, right))
        sides = (left, right)
        if any(side.textual and not side.from_outside and not side.places for side in sides):
            return MADE
        lists = union(Value(side.kinds & (Kind.DATA | Kind.GIVEN), frozenset(), side.places) for side in sides)
        if all(side.textual or side.from_outside for side in sides):
            # Two lists make a list, but two texts make a text.
            return lists | MADE
        return lists if any(side.places for side in sides) else NUMBER

    def _modulo(self, node: nodes.Mod) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if left.exact and right.exact:
            return folding.fold(folding.modulo, (left, right))
        return MADE if left.textual or Kind.GIVEN in left.kinds else NUMBER | Value(left.kinds & Kind.DATA)

    def _multiply(self, node: nodes.Mul) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if left.textual or right.textual:
            return MADE
        kept = Value((left.kinds | right.kinds) & (Kind.DATA | Kind.GIVEN), frozenset(), left.places | right.places)
        return NUMBER | kept

    def _either(self, node: nodes.And | nodes.Or) -> Value:
        return self.value(node.left) | self.value(node.right)

    def _condition(self, node: nodes.CondExpr) -> Value:
        self.value(node.test)
        return self.value(node.expr1) | self.value(node.expr2)
