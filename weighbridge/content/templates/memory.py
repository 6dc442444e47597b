"""What a template's variables, lists, dicts and namespaces may hold, joined over every way through it.

A place is one literal, call or macro of the template's text; its fields are kept by name, and what is put in under a
name that is not known, or as an element of a list, together. Not here: who puts what where (expressions, flow).
"""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import nodes

from weighbridge.content.templates.values import DATA, GIVEN, NOTHING, OBJECT, Kind, Value, constant, union

#: What the caller gives every chat template.
DOCUMENTED = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
#: Places that exist without a literal: what is put into the user's data, the variable `loop`, the arguments of macros
#: beyond their parameters, the caller's block, and the method `format` of a text that is not known.
INPUTS, LOOP, ARGUMENTS, CALLER, FORMAT, _FIRST = range(6)
#: The field of LOOP and CALLER with what they are called with; no template can name it.
CALLED = "(called)"
#: The passes after which constants are no longer distinguished, so that every analysis ends.
_EXACT_PASSES = 8
_TEXT_ATTRIBUTES = frozenset(dir(str))
_OTHER_ATTRIBUTES = frozenset({*dir(dict), *dir(list), *dir(tuple)})


class TemplateMemory:
    """Variables and places; `changed` says whether the last pass learnt anything.

    Attributes:
        macros: the macros by their place.
        own_keys: names that are always an element of a variable, each with that variable.
        changed: whether anything was added since `begin`.
        wild: values passed to functions that may store them anywhere.
    """

    def __init__(self, bound: Iterable[str], open_: Iterable[str], own_keys: frozenset[tuple[str, str]]) -> None:
        """Take the names that the template binds, those of them that it reads before, and `own_keys`."""
        self.own_keys = own_keys
        self.macros: dict[int, nodes.Macro] = {}
        self.changed = False
        self.wild = NOTHING
        self._bound = frozenset(bound)
        self._open = frozenset(open_)
        self._variables: dict[str, Value] = {}
        self._fields: dict[int, dict[str | None, Value]] = {}
        self._keys: dict[int, Value] = {}
        self._places: dict[tuple[int, str], int] = {}
        self._passes = 0

    def begin(self) -> None:
        """Begin a pass through the template."""
        self._passes += 1
        self.changed = False

    def is_bound(self, name: str) -> bool:
        """Return whether the template itself assigns the name."""
        return name in self._bound

    def variable(self, name: str) -> Value:
        """Return the possible values of a name."""
        found = self._variables.get(name, NOTHING)
        if name in DOCUMENTED:
            found |= DATA
        elif name not in self._bound or name in self._open:
            found |= GIVEN
        return found

    def bind(self, name: str, value: Value) -> None:
        """Record that a name may have a value."""
        self._variables[name] = self._joined(self._variables.get(name, NOTHING), value)

    def place(self, node: nodes.Node, part: str = "") -> int:
        """Return the place of a literal, call or macro, or of a part that it makes."""
        return self._places.setdefault((id(node), part), _FIRST + len(self._places))

    def new(self, node: nodes.Node, elements: Value = NOTHING, part: str = "") -> Value:
        """Return a list, dict or namespace made at a node, with these elements."""
        made = Value(places=frozenset({self.place(node, part)}))
        self.put(made, None, elements)
        return made

    def pairs(self, node: nodes.Node, holder: Value) -> Value:
        """Return the list of pairs of key and value that a node makes of dicts."""
        pair = self.new(node, self.keys(holder) | self.contents(holder), "pair")
        return self.new(node, pair, "pairs")

    def put(self, holder: Value, field: str | None, value: Value) -> None:
        """Say that a field of a place, or its elements (None), may be a value; what is put into data goes to INPUTS."""
        for place in self._within(holder):
            fields = self._fields.setdefault(place, {})
            fields[field] = self._joined(fields.get(field, NOTHING), value)

    def put_key(self, holder: Value, key: Value, value: Value) -> None:
        """Say that a dict may have a value under a key that is worked out."""
        if key.exact:
            for name in key.known:
                self.put(holder, str(name), value)
            return
        self.put(holder, None, value)
        for place in self._within(holder):
            self._keys[place] = self._joined(self._keys.get(place, NOTHING), key)

    def hand_over(self, value: Value) -> None:
        """Say that a function that is not known got a value: it may put it anywhere."""
        self.wild = self._joined(self.wild, value)

    def keys(self, holder: Value) -> Value:
        """Return what the keys of dicts may be."""
        found = Value(holder.kinds & (Kind.DATA | Kind.GIVEN | Kind.MADE))
        for place in self._within(holder):
            found |= self._keys.get(place, NOTHING)
            found |= union(constant(name) for name in self._fields.get(place, {}) if name is not None)
        return found

    def contents(self, holder: Value) -> Value:
        """Return what the values of dicts and the elements of lists may be."""
        found = Value(holder.kinds)
        for place in self._within(holder):
            found |= union(self._fields.get(place, {}).values()) | self.wild
        return found

    def elements(self, holder: Value) -> Value:
        """Return what a loop over a value may see: elements, keys, characters."""
        characters = {character for text in holder.texts for character in text}
        return union(map(constant, sorted(characters))) | self.contents(holder) | self.keys(holder)

    def field(self, holder: Value, name: str) -> Value:
        """Return what `holder.name` or `holder['name']` may be, by item or by attribute."""
        found = NOTHING
        if Kind.DATA in holder.kinds:
            found |= DATA
        if Kind.GIVEN in holder.kinds:
            # Only a structure has fields of its own; a text has methods.
            found |= GIVEN | Value(Kind.DATA) if name in _TEXT_ATTRIBUTES else DATA
        if holder.textual or Kind.GIVEN in holder.kinds:
            if name == "format":
                found |= Value(places=frozenset({FORMAT}))
            if holder.textual and name in _TEXT_ATTRIBUTES:
                found |= OBJECT
        if Kind.OBJECT in holder.kinds:
            found |= OBJECT
        for place in self._within(holder):
            fields = self._fields.get(place, {})
            found |= fields.get(name, NOTHING) | fields.get(None, NOTHING) | self.wild
            if place != INPUTS and name not in fields and name in _OTHER_ATTRIBUTES:
                found |= OBJECT
        return found

    @staticmethod
    def _within(holder: Value) -> frozenset[int]:
        return holder.places | {INPUTS} if holder.from_outside else holder.places

    def _joined(self, before: Value, value: Value) -> Value:
        after = before | value
        if after == before:
            return before
        if self._passes > _EXACT_PASSES:
            after = after.widened()
        self.changed = self.changed or after != before
        return after
