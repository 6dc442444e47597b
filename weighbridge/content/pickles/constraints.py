"""Which arguments make a call of a listed global harmless: the constraints that entries of the list name.

Arguments are values of the symbolic stack: what is not followed there is data, but for globals and what they made.
Not here: their use (uses), and which entry has which constraint (allowed).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weighbridge.content.pickles.allowed.entry import Arguments
from weighbridge.content.pickles.globals import allowed
from weighbridge.content.pickles.stack import OPAQUE, PLAIN, Bytes
from weighbridge.content.pickles.symbols import Import, Made
from weighbridge.content.pickles.tensors import Storage

_BUILT_IN = ("builtins", "__builtin__")
#: Whose instances hold numbers only: a rebuild may call their methods.
_TENSORS = ("torch", "numpy")


def holds(constraint: Arguments, arguments: Any) -> bool:
    """Return whether arguments satisfy a constraint; all are unknown when there are too many to follow."""
    return constraint == "any" or (isinstance(arguments, tuple) and _CONSTRAINTS[constraint](arguments))


def _is_listed(found: Import) -> bool:
    return allowed(found) is not None


def _is_class(value: Any) -> bool:
    entry = allowed(value) if isinstance(value, Import) else None
    return entry is not None and entry.kind in ("class", "constructor")


def is_constant(value: Any) -> bool:
    """Return whether a value is a number, a text, bytes, or a tuple of such."""
    if isinstance(value, tuple):
        return all(map(is_constant, value))
    return value is PLAIN or isinstance(value, str | int)


def _is_plain(value: Any) -> bool:
    """Return whether a value is constant, or a named constant."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    entry = allowed(value) if isinstance(value, Import) else None
    return is_constant(value) or (entry is not None and entry.kind == "value")


def _is_value(value: Any) -> bool:
    """Return whether a value is only data, as far as it is followed: no global, no instance of a library."""
    if isinstance(value, tuple):
        return all(map(_is_value, value))
    if isinstance(value, Import):
        return _is_plain(value) or (_is_class(value) and value.module in (*_BUILT_IN, "array"))
    entry = allowed(value.of) if isinstance(value, Made) else None
    return not isinstance(value, Made) or (entry is not None and not entry.objects)


def _is_latin_1(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 2 and not isinstance(arguments[0], Import | Made) and arguments[1] in ("latin1", "latin-1")


def _is_tensor_first(arguments: tuple[Any, ...]) -> bool:
    """Torch's rebuild functions call methods of the first argument: it must be a tensor, a storage or an array."""
    first = arguments[0] if arguments else PLAIN
    tensor = isinstance(first, Made) and first.of.module.partition(".")[0] in _TENSORS and _is_value(first)
    storage = first is OPAQUE or isinstance(first, Storage)
    return (tensor or storage or _is_plain(first)) and all(map(_is_value, arguments[1:]))


def _is_class_first(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments) and _is_class(arguments[0])


def _is_class_or_text(arguments: tuple[Any, ...]) -> bool:
    return all(
        _is_class(one) if isinstance(one, Import) else isinstance(one, Made) or is_constant(one) for one in arguments
    )


def _is_reconstruction(arguments: tuple[Any, ...]) -> bool:
    """copyreg: `base.__new__(cls, state)`, then `base.__init__(instance, state)` unless the base is `object`."""
    if len(arguments) != 3 or not _is_class(arguments[0]):
        return False
    base, state = arguments[1], arguments[2]
    built_in = isinstance(base, Import) and base.module in _BUILT_IN and _is_class(base)
    return built_in and not isinstance(state, Import | Made)


def _is_factory(arguments: tuple[Any, ...]) -> bool:
    first, rest = arguments[:1], arguments[1:]
    return all(one is PLAIN or _is_class(one) for one in first) and all(map(_is_value, rest))


def _is_member(arguments: tuple[Any, ...]) -> bool:
    """getattr: a member of a listed enum by its name, or an attribute of a class that is on the list itself."""
    if len(arguments) != 2 or not isinstance(arguments[0], Import):
        return False
    of, name = arguments
    if not isinstance(name, str) or not name.isidentifier():
        return False
    entry = allowed(of)
    member = entry is not None and entry.kind == "enum" and not name.startswith("_") and name[:1].isupper()
    return member or _is_listed(Import(of.module, f"{of.name}.{name}"))


def _is_typing(arguments: tuple[Any, ...]) -> bool:
    first = arguments[0] if len(arguments) == 2 else None
    return isinstance(first, Import) and first.module == "typing" and _is_listed(first)


def _is_union(arguments: tuple[Any, ...]) -> bool:
    first = arguments[0] if len(arguments) == 2 else None
    return isinstance(first, Import) and first.name == "or_" and _is_listed(first)


def _is_torch_subclass(arguments: tuple[Any, ...]) -> bool:
    """Torch calls the first argument with the third one, and then makes the result an instance of the second."""
    if len(arguments) != 4:
        return False
    function, kind, inner, _ = arguments
    rebuilds = isinstance(function, Import) and function.module == "torch._utils" and _is_listed(function)
    if not rebuilds or not _is_class(kind):
        return False
    entry = allowed(function)
    return entry is not None and entry.kind == "function" and holds(entry.arguments, inner)


def _is_torch_file(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], Bytes)


_CONSTRAINTS: dict[Arguments, Callable[[Any], bool]] = {
    "data": _is_value,
    "plain value": _is_plain,
    "tensor first": _is_tensor_first,
    "latin-1 text": _is_latin_1,
    "class first": _is_class_first,
    "class or text": _is_class_or_text,
    "reconstructor": _is_reconstruction,
    "factory": _is_factory,
    "member": _is_member,
    "typing": _is_typing,
    "union": _is_union,
    "torch subclass": _is_torch_subclass,
    "torch file": _is_torch_file,
}
