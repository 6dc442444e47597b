"""Arrays in joblib's files: the number of bytes between two opcodes of a pickle.

joblib writes a `NumpyArrayWrapper` and, right after the BUILD that fills it, the array: one byte of padding length, the
padding, the numbers; or, for an array of objects, another pickle (joblib/numpy_pickle.py, `read_array`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import IO, Any

#: numpy's flag of items that hold references (NPY_ITEM_REFCOUNT), in a structured type's state.
_HAS_OBJECTS = 0x01


class Wrapper:
    """A `NumpyArrayWrapper` on the symbolic stack."""


@dataclass
class Type:
    """A `numpy.dtype` on the symbolic stack.

    Attributes:
        item_size: bytes of one item.
        objects: whether items are references, so that the array is pickled.
    """

    item_size: int
    objects: bool

    @classmethod
    def of(cls, arguments: Any) -> Type | None:
        """Return the type that `numpy.dtype(*arguments)` makes, or None when that is not known."""
        code = arguments[0] if isinstance(arguments, tuple) and arguments else None
        if not isinstance(code, str) or not code[1:].isdecimal() or len(code) > 12:
            return None
        letter, size = code[0], int(code[1:])
        return cls(4 * size if letter == "U" else size, letter == "O")

    def take_state(self, state: Any) -> None:
        """Do what `__setstate__` does; the state's flags say whether a structured type holds references."""
        flags = state[7] if isinstance(state, tuple) and len(state) >= 8 else None
        self.objects |= not isinstance(flags, int) or bool(flags & _HAS_OBJECTS)


def size_after(state: Any, file: IO[bytes]) -> int | None:
    """Return how many bytes follow a wrapper's BUILD, or None when a pickle follows. Reads the padding's length.

    Raises:
        ValueError: the state does not say.
    """
    if not isinstance(state, dict):
        raise ValueError("the size of its array cannot be told")
    shape, kind = state.get("shape"), state.get("dtype")
    if not isinstance(shape, tuple) or not isinstance(kind, Type):
        raise ValueError("the size of its array cannot be told")
    if not all(isinstance(length, int) and 0 <= length < 1 << 48 for length in shape):
        raise ValueError("the shape of its array is none")
    if kind.objects:
        return None
    size = math.prod(shape) * kind.item_size
    if state.get("numpy_array_alignment_bytes"):
        padding = file.read(1)
        if not padding:
            raise ValueError("it is cut off")
        size += padding[0]
    return size
