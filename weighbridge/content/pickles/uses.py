"""Checks whether a pickle uses its globals as the list of harmless ones allows; any other use is a fault.

A name on the list says little alone: `getattr` of an enum's member is data, of anything else it is a way out. So each
use is judged: a call with its arguments, an instance that is rebuilt, filled (BUILD) or extended by items.
Not here: globals that are not on the list at all (globals), and the walk that meets the uses (machine).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from weighbridge.content.pickles import constraints
from weighbridge.content.pickles.allowed.entry import Arguments
from weighbridge.content.pickles.globals import allowed
from weighbridge.content.pickles.stack import OPAQUE, Bytes, is_data
from weighbridge.content.pickles.symbols import Import, Made
from weighbridge.content.pickles.tensors import Sizes

#: Faults that are kept of one pickle; one is enough to refuse it.
_MAX_FAULTS = 1000
#: What unpicklers look up on an instance, so in its dictionary too, and call.
_METHODS = frozenset({"append", "extend", "add"})
#: The first element of a persistent id, as torch writes them: a storage's, and a module's with its source text.
_PERSISTENT = frozenset({"storage", "module"})
_MAPPINGS = frozenset({"dict", "OrderedDict", "defaultdict", "Counter"})
#: Constraints of functions that return an instance of the class that they are given.
_OF_CLASS: frozenset[Arguments] = frozenset({"class first", "class or text", "reconstructor"})
_CALLS = "calls it with arguments that its harmless use does not have"


@dataclass(frozen=True, order=True)
class Fault:
    """A use of a global that the list does not allow.

    Attributes:
        found: the global.
        what: what the pickle does with it, as the rest of a sentence about the pickle.
        harmful: whether that is a known way to run code or to change others' code, not only an unknown use.
    """

    found: Import
    what: str
    harmful: bool = False

    def __str__(self) -> str:
        return f"{self.found} ({self.what})"


class Uses:
    """Judges what one pickle does with globals, in the order in which it does it.

    Attributes:
        faults: each with the offset of the first opcode that commits it.
        files: bytes that one of its calls reads as a torch file.
        sizes: its claims on the sizes of torch's storages and tensors.
    """

    def __init__(self) -> None:
        self.faults: dict[Fault, int] = {}
        self.files: list[Bytes] = []
        self.sizes = Sizes()
        self._kept: Counter[Import] = Counter()

    def push(self, value: Any) -> None:
        """Note that a value is on the stack once more."""
        if isinstance(value, Import) and (entry := allowed(value)) is not None and entry.in_sight:
            self._kept[value] += 1

    def call(self, function: Any, arguments: Any, offset: int) -> Any:
        """Judge a call (REDUCE, and INST and OBJ with arguments) and return the value that it makes."""
        self._note(_called(function, arguments), offset)
        if not isinstance(function, Import):
            return Made(function.of) if isinstance(function, Made) else OPAQUE
        if function in self._kept:
            self._kept[function] -= 1
        entry = allowed(function)
        if entry is not None and entry.arguments == "torch file" and constraints.holds("torch file", arguments):
            self.files.append(arguments[0])
        first = arguments[0] if isinstance(arguments, tuple) and arguments else None
        self.sizes.tensor(function, arguments)
        if entry is None or not isinstance(first, Import):
            return Made(function)
        if entry.arguments == "torch subclass":
            self.sizes.tensor(first, arguments[2] if len(arguments) > 2 else None)
        if entry.arguments == "member":
            named = Import(first.module, f"{first.name}.{arguments[-1]}")
            return named if allowed(named) else Made(first)
        return Made(first) if entry.arguments in _OF_CLASS else Made(function)

    def rebuild(self, made: Any, arguments: Any, offset: int) -> Any:
        """Judge an instance that is created without its constructor (NEWOBJ, OBJ without arguments), and return it."""
        self._note(_rebuilt(made, arguments), offset)
        return Made(made) if isinstance(made, Import) else OPAQUE

    def fill(self, target: Any, state: Any, offset: int) -> None:
        """Judge setting a state (BUILD): allowed for instances of listed classes, never for globals themselves."""
        self._note(_filled(target, state), offset)

    def add(self, target: Any, offset: int) -> None:
        """Judge adding items (APPEND, SETITEM, ADDITEMS): allowed for containers, not for tensors and globals."""
        if isinstance(target, Import):
            self._note(Fault(target, "puts items into it, for everybody in the process", harmful=True), offset)
        elif isinstance(target, Made) and (entry := allowed(target.of)) is not None and not entry.items:
            self._note(Fault(target.of, "puts items into an instance that is no container", harmful=True), offset)

    def put(self, keys: Iterable[Any], values: Iterable[Any], offset: int) -> None:
        """Judge keys and values of a dictionary: methods of an instance are looked up in its dictionary, too."""
        for key, value in zip(keys, values, strict=False):
            if isinstance(value, Import | Made) and _is_method(key, value):
                found = value if isinstance(value, Import) else value.of
                self._note(Fault(found, "puts it where an unpickler looks for a method", harmful=True), offset)

    def identify(self, identifier: Any, offset: int) -> Any:
        """Judge a persistent id and return what it names.

        torch's name a storage; one of torch.package may name a function, which is called.
        """
        if storage := self.sizes.storage(identifier):
            return storage
        if not isinstance(identifier, tuple) or not identifier or identifier[0] in _PERSISTENT:
            return OPAQUE
        for part in identifier:
            if isinstance(part, Import | Made):
                found = part if isinstance(part, Import) else part.of
                self._note(Fault(found, "hands it to its loader as a persistent id", harmful=True), offset)
        return OPAQUE

    def end(self, offset: int) -> None:
        """Judge stored functions: one that is harmless only with some arguments may not be called later, unseen."""
        for function, count in self._kept.items():
            if count > 0:
                what = "keeps it for others to call, and only some calls of it are harmless"
                self._note(Fault(function, what, harmful=True), offset)

    def _note(self, fault: Fault | None, offset: int) -> None:
        if fault is not None and len(self.faults) < _MAX_FAULTS:
            self.faults.setdefault(fault, offset)


def _called(function: Any, arguments: Any) -> Fault | None:
    if not isinstance(function, Import):
        return _of_no_global(function, "calls what it made while loading", harmful=True)
    entry = allowed(function)
    if entry is None:
        return None
    if entry.kind == "value":
        return Fault(function, "calls it, and it may only be looked up", harmful=True)
    if entry.kind == "class":
        return Fault(function, "calls it, and only rebuilding it runs no constructor")
    if entry.kind == "enum":
        return None if constraints.is_constant(arguments) else Fault(function, _CALLS)
    return None if constraints.holds(entry.arguments, arguments) else Fault(function, _CALLS, entry.in_sight)


def _rebuilt(made: Any, arguments: Any) -> Fault | None:
    entry = allowed(made) if isinstance(made, Import) else None
    if isinstance(made, Import) and entry is None:
        return None
    if entry is None or entry.kind in ("value", "function"):
        return _of_no_global(made, "makes an instance of what is no class", harmful=False)
    if entry.kind == "class":
        return None if arguments == () else Fault(made, "makes an instance with arguments, which run code of the class")
    return _called(made, arguments)


def _filled(target: Any, state: Any) -> Fault | None:
    if isinstance(target, Import):
        return Fault(target, "changes it for everybody in the process", harmful=True)
    if not isinstance(target, Made) or (entry := allowed(target.of)) is None:
        return None
    if entry.kind in ("value", "enum"):
        return Fault(target.of, "changes a constant for everybody in the process", harmful=True)
    # Without a `__setstate__`, a pair is two dictionaries: of the instance, and of its slots.
    pair = isinstance(state, tuple) and len(state) == 2 and not isinstance(state[1], int)
    if any(isinstance(part, Made) and part.of.name in _MAPPINGS for part in (state if pair else (state,))):
        return Fault(target.of, "fills an instance with a dictionary that a call makes, so its keys are unknown")
    return None


def _is_method(key: Any, value: Import | Made) -> bool:
    """Return whether an unpickler may call a value of a dictionary as a method of an instance."""
    if isinstance(value, Made) and (entry := allowed(value.of)) is not None and not entry.objects:
        return False
    if not isinstance(key, str):
        return isinstance(value, Import) and not is_data(key) and not isinstance(key, Import)
    return (key.startswith("__") and key.endswith("__")) or (isinstance(value, Import) and key in _METHODS)


def _of_no_global(value: Any, what: str, *, harmful: bool) -> Fault | None:
    if is_data(value):
        return None  # Every unpickler raises there.
    found = value if isinstance(value, Import) else value.of if isinstance(value, Made) else Import("", "")
    return Fault(found, what, harmful)
