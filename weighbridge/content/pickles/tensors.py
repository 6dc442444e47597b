"""Sizes of torch's tensors against those of the storages that they say they lie in.

A tensor whose shape reaches beyond its storage makes readers that do not check it read or write memory of others
(CVE-2026-24747). Not here: how a tensor is rebuilt from globals (pickles.uses), and raw numbers in files (storages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weighbridge.content.pickles.symbols import Import

#: Bytes of an element, by what the class of a storage is called before `Storage`.
_ELEMENTS = {
    "Byte": 1,
    "Char": 1,
    "Bool": 1,
    "QInt8": 1,
    "QUInt8": 1,
    "Untyped": 1,
    "Half": 2,
    "BFloat16": 2,
    "Short": 2,
    "Float": 4,
    "Int": 4,
    "QInt32": 4,
    "Double": 8,
    "Long": 8,
    "ComplexFloat": 8,
    "ComplexDouble": 16,
}
_REBUILDS = frozenset({"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor"})


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage that a persistent id names.

    Attributes:
        key: its name, as a member of a torch file is called.
        elements: how many it says that it has.
        size: their bytes, or 0 when its type does not say.
    """

    key: str
    elements: int
    size: int


def storage_of(identifier: Any) -> Storage | None:
    """Return the storage that a persistent id names: a text, its class, key, place and number of elements."""
    if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
        return None
    _, kind, key, _, elements = identifier[:5]
    if not isinstance(kind, Import) or not isinstance(key, str) or not isinstance(elements, int):
        return None
    return Storage(key, elements, elements * _ELEMENTS.get(kind.name.removesuffix("Storage"), 0))


def problem_of(function: Import, arguments: Any) -> str:
    """Return what is wrong with the sizes of a tensor that is rebuilt, or an empty text.

    Args:
        function: that is called.
        arguments: a storage, an offset, a shape and strides, then others.
    """
    if function.module != "torch._utils" or function.name not in _REBUILDS:
        return ""
    if not isinstance(arguments, tuple) or len(arguments) < 4 or not isinstance(arguments[0], Storage):
        return ""
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(offset, int) or not _are_numbers(shape) or not _are_numbers(strides):
        return ""
    if offset < 0 or len(shape) != len(strides) or min((*shape, *strides), default=0) < 0:
        return "A tensor has an offset, a shape or strides that no tensor has."
    reach = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True)) + 1
    if 0 in shape or reach <= storage.elements:
        return ""
    return f"A tensor reaches {reach} elements far into a storage of {storage.elements}."


def _are_numbers(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(number, int) for number in value)
