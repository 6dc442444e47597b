"""Storages and tensors that torch rebuilds: checks a pickle's claims on their sizes against each other.

torch trusts these numbers: a tensor that reaches beyond its storage reads or writes what is not its own
(CVE-2026-24747). Not here: how many bytes of a storage there are, in a legacy file (storages) or in a zip (streams).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weighbridge.content.findings import quoted
from weighbridge.content.pickles.symbols import Import

#: Bytes of one element by the name of a storage's type; those of 4 bits and 2 have no whole number of them.
STORAGES = {
    "FloatStorage": 4, "HalfStorage": 2, "DoubleStorage": 8, "LongStorage": 8, "IntStorage": 4, "ShortStorage": 2,
    "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "BFloat16Storage": 2, "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16, "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, "UntypedStorage": 1,
}  # fmt: skip
_DTYPES = {
    "float16": 2, "half": 2, "float32": 4, "float": 4, "float64": 8, "double": 8, "bfloat16": 2, "int8": 1, "int16": 2,
    "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "bool": 1, "complex32": 4,
    "complex64": 8, "complex128": 16, "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
}  # fmt: skip
#: Functions whose first arguments are a storage, an offset, a shape and strides; and where their dtype is, or 0.
_REBUILDS = {"_rebuild_tensor": 0, "_rebuild_tensor_v2": 0, "_rebuild_tensor_v3": 6, "_rebuild_qtensor": 0}
#: Problems and storages kept of one pickle.
_MAX_PROBLEMS = 20
_MAX_STORAGES = 1_000_000


@dataclass(frozen=True)
class Storage:
    """A storage that a persistent id names.

    Attributes:
        key: its name in the file.
        item_size: bytes of one element, or None when its type is not known.
        elements: how many it has.
        visible: how many of them its tensors may use: fewer for a view of it.
    """

    key: str
    item_size: int | None
    elements: int
    visible: int

    @property
    def size(self) -> int | None:
        """Its bytes."""
        return None if self.item_size is None else self.item_size * self.elements


class Sizes:
    """What one pickle says of sizes.

    Attributes:
        storages: by key.
        problems: what does not fit, one sentence each.
    """

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self.problems: list[str] = []

    def storage(self, identifier: Any) -> Storage | None:
        """Note what a persistent id says and return the storage, or None when it names none."""
        if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
            return None
        _, kind, key, _, elements, *view = identifier
        if not isinstance(key, str) or not isinstance(elements, int) or not isinstance(kind, Import):
            return None
        visible = elements
        if view and isinstance(view[0], tuple) and len(view[0]) == 3 and isinstance(view[0][2], int):
            visible = view[0][2]
        found = Storage(key, STORAGES.get(kind.name), elements, visible)
        if elements < 0 or not 0 <= visible <= elements:
            self._problem(f"The storage {quoted(key)} has {elements} elements, of which {visible} are used.")
        known = self.storages.get(key, found)
        if len(self.storages) < _MAX_STORAGES:
            self.storages[key] = known
        if known.size != found.size:
            self._problem(f"The storage {quoted(key)} has {known.size} bytes in one place and {found.size} in another.")
        return found

    def tensor(self, function: Any, arguments: Any) -> None:
        """Hold what a call that rebuilds a tensor says against its storage."""
        rebuilds = isinstance(function, Import) and function.module == "torch._utils" and function.name in _REBUILDS
        if not rebuilds or not isinstance(arguments, tuple) or len(arguments) < 4:
            return
        storage, offset, shape, strides = arguments[:4]
        if not isinstance(storage, Storage) or not isinstance(offset, int):
            return
        if not _are_numbers(shape) or not _are_numbers(strides):
            return
        if len(shape) != len(strides) or offset < 0 or min((*shape, *strides), default=0) < 0:
            self._problem(f"A tensor has the offset {offset}, the shape {shape} and the strides {strides}.")
            return
        room = storage.visible
        if (place := _REBUILDS[function.name]) and storage.size is not None:
            dtype = arguments[place] if len(arguments) > place else None
            item_size = _DTYPES.get(dtype.name) if isinstance(dtype, Import) else None
            room = storage.size // item_size if item_size else room
        needed = offset + sum((length - 1) * step for length, step in zip(shape, strides, strict=True)) + 1
        if 0 not in shape and needed > room:
            key = quoted(storage.key)
            self._problem(f"A tensor needs {needed} elements of the storage {key}, which has {room}.")

    def _problem(self, text: str) -> None:
        if text not in self.problems and len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)


def _are_numbers(values: Any) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, int) for value in values)
