"""What calls, filters and tests of a template give, and what they put where.

Not here: the tables of what each method and filter does (operations).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jinja2 import nodes

from weighbridge.content.templates import folding, operations, scopes
from weighbridge.content.templates.expressions import Expressions
from weighbridge.content.templates.judgement import TemplateJudgement
from weighbridge.content.templates.memory import ARGUMENTS, CALLED, CALLER, LOOP, TemplateMemory
from weighbridge.content.templates.values import (
    MADE,
    NOTHING,
    NUMBER,
    Kind,
    Value,
    constant,
    union,
)

#: What a call of these gives, where the template does not give the name another meaning.
_RESULTS = {"raise_exception": NOTHING, "range": NUMBER, "strftime_now": MADE, "lipsum": MADE}


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call, worked out.

    Attributes:
        positional: by position.
        named: by name.
        spread: what `*` and `**` may bring.
        merged: the lists and dicts behind `*` and `**`.
    """

    positional: tuple[Value, ...]
    named: dict[str, Value]
    spread: Value = NOTHING
    merged: tuple[Value, ...] = ()

    @property
    def all(self) -> Value:
        """What any of them may be."""
        return union((*self.positional, *self.named.values(), self.spread))

    def get(self, position: int, name: str = "") -> Value:
        """Return one argument by position or name; NOTHING where it is left out."""
        found = self.positional[position] if position < len(self.positional) else NOTHING
        return found | self.named.get(name, NOTHING) | self.spread

    def after(self, position: int) -> Arguments:
        """Return the arguments behind a position."""
        return Arguments(self.positional[position + 1 :], self.named, self.spread)


class Calls:
    """Works out calls, filters and tests over a memory."""

    def __init__(self, memory: TemplateMemory, judgement: TemplateJudgement) -> None:
        """Take the memory and who judges names."""
        self._memory = memory
        self._judgement = judgement
        self.expressions = Expressions(memory, judgement, self._work_out)

    def _work_out(self, node: nodes.Call | nodes.Filter | nodes.Test) -> Value:
        if isinstance(node, nodes.Call):
            return self._call(node)
        if isinstance(node, nodes.Test):
            self.expressions.value(node.node)
            self._arguments(node)
            return NUMBER
        return self.filtered(node, self.expressions.value(node.node))

    def filtered(self, node: nodes.Filter, value: Value) -> Value:
        """Return the result of a filter node for a value."""
        return self._filter(node.name, value, self._arguments(node), node)

    def _arguments(self, node: nodes.Call | nodes.Filter | nodes.Test) -> Arguments:
        value = self.expressions.value
        merged = tuple(value(inner) for inner in (node.dyn_args, node.dyn_kwargs) if inner is not None)
        # The names that a filter takes by `*` are not distinguished.
        unknown = MADE if merged and not isinstance(node, nodes.Call) else NOTHING
        return Arguments(
            tuple(value(argument) for argument in node.args or ()),
            {str(keyword.key): value(keyword.value) for keyword in node.kwargs or ()},
            unknown | union(map(self._memory.elements, merged)),
            merged,
        )

    # Calls

    def _call(self, node: nodes.Call) -> Value:
        arguments = self._arguments(node)
        callee = node.node
        if isinstance(callee, nodes.Name) and not self._memory.is_bound(callee.name):
            if callee.name in _RESULTS:
                return _RESULTS[callee.name]
            if callee.name in ("dict", "namespace"):
                return self._made(node, arguments)
            if callee.name in ("cycler", "joiner"):
                made = self._memory.new(node, arguments.all)
                self._memory.put(made, "items", made)
                return made
        name = _method_name(callee)
        if name and isinstance(callee, nodes.Getattr | nodes.Getitem):
            receiver = self.expressions.value(callee.node)
            self._judgement.subscript(constant(name), receiver, callee)
            if isinstance(callee, nodes.Getattr):
                self._judgement.attribute(constant(name), receiver, callee)
            return self._method(name, receiver, arguments, node)
        return self._called(self.expressions.value(callee), arguments, node)

    def _made(self, node: nodes.Call, arguments: Arguments) -> Value:
        """Return the dict or namespace that a call makes."""
        made = self._memory.new(node)
        for name, value in arguments.named.items():
            self._memory.put(made, name, value)
        for merged in (*arguments.positional, *arguments.merged):
            self._merge(made, merged)
        return made

    def _merge(self, holder: Value, merged: Value) -> None:
        """Put the keys and values of a dict, or of a list of pairs, into another."""
        memory = self._memory
        pairs = memory.elements(merged)
        memory.put_key(holder, memory.keys(merged) | memory.elements(pairs), memory.contents(merged))
        memory.put(holder, None, pairs | memory.elements(pairs))

    def _called(self, callee: Value, arguments: Arguments, node: nodes.Node) -> Value:
        """Return the result of calling a value; macros get the arguments, any other result is unknown."""
        self._judgement.call(callee, node)
        for place in callee.places:
            if macro := self._memory.macros.get(place):
                self._bind(macro, arguments)
        self._memory.put(Value(places=callee.places & {LOOP, CALLER}), CALLED, arguments.all)
        if callee.kinds & (Kind.OBJECT | Kind.GIVEN | Kind.DATA):
            self._memory.hand_over(arguments.all)
        if Kind.DATA in callee.kinds and arguments.all.textual:
            return MADE | callee
        return callee if callee.from_outside and not callee.places and Kind.OBJECT not in callee.kinds else MADE

    def _bind(self, macro: nodes.Macro, arguments: Arguments) -> None:
        for position, parameter in enumerate(macro.args):
            self._memory.bind(parameter.name, arguments.get(position, scopes.spelled(parameter.name)))
        rest = Value(places=frozenset({ARGUMENTS}))
        self._memory.put(rest, None, union(arguments.positional[len(macro.args) :]) | arguments.spread)
        for name, value in arguments.named.items():
            self._memory.put(rest, name, value)

    # Methods

    def _method(self, name: str, receiver: Value, arguments: Arguments, node: nodes.Call) -> Value:
        if name == "format":
            self._judgement.format(receiver, arguments.all, node)
        found = NOTHING
        if receiver.textual:
            found |= self._method_of_text(name, receiver, arguments, node)
        if receiver.from_outside:
            found |= self._method_of_input(name, receiver, arguments)
        if receiver.places:
            found |= self._method_of_place(name, Value(places=receiver.places), arguments, node)
        if Kind.OBJECT in receiver.kinds:
            self._memory.hand_over(arguments.all)
            found |= MADE
        return found if receiver.textual or receiver.from_outside or receiver.places else found | NUMBER

    def _method_of_text(self, name: str, receiver: Value, arguments: Arguments, node: nodes.Call) -> Value:
        if name in operations.NUMBER_METHODS:
            return NUMBER
        if not hasattr(str, name):
            return NOTHING
        texts = Value(known=frozenset(receiver.texts))
        choices = (texts, *arguments.positional)
        foldable = not arguments.named and arguments.spread == NOTHING and all(choice.exact for choice in choices)
        made = MADE if Kind.MADE in receiver.kinds or not foldable else NOTHING
        if foldable and name in folding.TEXT_METHODS:
            return made | folding.fold(folding.TEXT_METHODS[name], choices)
        if foldable and name in folding.LIST_METHODS:
            return made | self._memory.new(node, folding.fold(folding.LIST_METHODS[name], choices))
        return MADE

    def _method_of_input(self, name: str, receiver: Value, arguments: Arguments) -> Value:
        memory = self._memory
        kept = Value(receiver.kinds & (Kind.DATA | Kind.GIVEN))
        if name in operations.PUTTING_METHODS:
            self._put(kept, arguments)
        if name in operations.TAKING_METHODS:
            # Only a structure has these: what it gives is data.
            return memory.field(Value(Kind.DATA), "") | memory.contents(Value(Kind.DATA)) | arguments.after(0).all
        if name in operations.NUMBER_METHODS or name in operations.PUTTING_METHODS:
            return NUMBER
        if name in ("items", "keys", "values", "copy"):
            return Value(Kind.DATA)
        return kept if name in operations.KEEPING_METHODS else MADE

    def _method_of_place(self, name: str, receiver: Value, arguments: Arguments, node: nodes.Call) -> Value:
        if name in operations.PUTTING_METHODS:
            self._put(receiver, arguments)
        found = self._method_of_container(name, receiver, arguments, node)
        stored = self._memory.field(receiver, name)
        if found is None or stored.places:
            # This is a macro in a namespace, or unknown.
            found = (found or NOTHING) | self._called(stored, arguments, node)
        return found

    def _method_of_container(self, name: str, receiver: Value, arguments: Arguments, node: nodes.Call) -> Value | None:
        memory = self._memory
        if name == "copy":
            return receiver
        if name == "items":
            return memory.pairs(node, receiver)
        if name == "keys":
            return memory.new(node, memory.keys(receiver))
        if name == "values":
            return memory.new(node, memory.contents(receiver))
        if name in operations.TAKING_METHODS:
            return memory.contents(receiver) | arguments.after(0).all
        if name == "next":
            return memory.contents(receiver)
        if name == "cycle":
            return arguments.all
        if name in operations.NUMBER_METHODS or name in operations.PUTTING_METHODS or name == "changed":
            return NUMBER
        return None

    def _put(self, holder: Value, arguments: Arguments) -> None:
        self._memory.put(holder, None, arguments.all)
        for name, value in arguments.named.items():
            self._memory.put(holder, name, value)
        for value in (*arguments.positional, *arguments.merged):
            self._merge(holder, value)
            self._memory.put_key(holder, Value(value.kinds, value.known), arguments.all)

    # Filters

    def _filter(self, name: str, value: Value, arguments: Arguments, node: nodes.Filter) -> Value:
        memory = self._memory
        self._judge_filter(name, value, arguments, node)
        if name in operations.NUMBER_FILTERS:
            return NUMBER
        if name in ("d", "default"):
            return value | arguments.all
        if name == "attr":
            return union(memory.field(value, text) for text in arguments.get(0, "name").texts)
        if name == "map":
            return self._mapped(value, arguments, node)
        if name == "sum":
            return NUMBER | self._attribute(value, arguments, 0) | arguments.get(1, "start")
        if name in operations.ONE_ELEMENT:
            return memory.elements(value)
        if name in operations.REARRANGING:
            return Value(value.kinds, frozenset(), value.places) | (MADE if value.textual else NOTHING)
        if name in operations.GROUPING:
            groups = value | memory.elements(value) | self._attribute(value, arguments, 0)
            return memory.new(node, groups | (MADE if value.textual else NOTHING)) | Value(value.kinds)
        if name in ("items", "dictsort"):
            return memory.pairs(node, Value(places=value.places)) | Value(value.kinds)
        if name == "list" and value.textual:
            characters = memory.elements(Value(value.kinds & Kind.MADE, value.known))
            return memory.new(node, characters) | Value(value.kinds & ~Kind.MADE, frozenset(), value.places)
        return self._text_filter(name, value, arguments)

    def _text_filter(self, name: str, value: Value, arguments: Arguments) -> Value:
        same = name in ("list", "reverse")
        kept = Kind.NOTHING
        if same:
            kept = value.kinds & ~Kind.MADE
        elif name in operations.KEEPING_FILTERS:
            kept = value.kinds & (Kind.DATA | Kind.GIVEN | Kind.NUMBER)
        found = Value(kept, frozenset(), value.places if same else frozenset())
        if value.kinds & ~kept or (value.places and not same):
            found |= MADE
        return found | self._text_filter_folded(name, Value(known=value.known), arguments)

    @staticmethod
    def _text_filter_folded(name: str, known: Value, arguments: Arguments) -> Value:
        if known == NOTHING or name in ("safe", "string", "e", "escape", "forceescape"):
            # The characters that escaping changes are in no name.
            return known
        choices = (known, *arguments.positional)
        plain = not arguments.named and arguments.spread == NOTHING and all(choice.exact for choice in choices)
        return folding.fold(folding.TEXT_FILTERS[name], choices) if plain and name in folding.TEXT_FILTERS else MADE

    def _judge_filter(self, name: str, value: Value, arguments: Arguments, node: nodes.Filter) -> None:
        position = operations.ATTRIBUTE_POSITIONS.get(name)
        if position is not None or "attribute" in arguments.named:
            asked = arguments.get(99 if position is None else position, "attribute")
            judge = self._judgement.attribute
            judge(asked, value if name == "attr" else self._memory.elements(value), node)
        if name in operations.OPERATION_POSITIONS:
            self._judgement.operation(arguments.get(operations.OPERATION_POSITIONS[name]), node)

    def _attribute(self, value: Value, arguments: Arguments, position: int) -> Value:
        found = self._memory.elements(value)
        asked = arguments.get(position, "attribute")
        for path in asked.texts:
            for part in path.split("."):
                found = self.expressions.item(found, constant(int(part) if part.isdecimal() else part))
        return found

    def _mapped(self, value: Value, arguments: Arguments, node: nodes.Filter) -> Value:
        if "attribute" in arguments.named:
            elements = self._attribute(value, arguments, 99) | arguments.named.get("default", NOTHING)
        else:
            inner = arguments.after(0)
            of = self._memory.elements(value)
            names = arguments.positional[0].texts if arguments.positional else []
            elements = union(self._filter(name, of, inner, node) for name in names)
        return self._memory.new(node, elements)


def _method_name(callee: nodes.Node) -> str:
    if isinstance(callee, nodes.Getattr):
        return callee.attr
    if isinstance(callee, nodes.Getitem) and isinstance(callee.arg, nodes.Const) and isinstance(callee.arg.value, str):
        return callee.arg.value
    return ""


def _is_cycler(node: nodes.Call) -> bool:
    return isinstance(node.node, nodes.Name) and node.node.name == "cycler"


def literals(values: Iterable[Value]) -> Value:
    """Return the concatenated results of the parts of a block of text."""
    parts = list(values)
    return folding.fold(folding.concatenate, parts) if all(part.exact for part in parts) else MADE
