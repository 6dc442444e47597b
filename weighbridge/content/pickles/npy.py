"""Headers of .npy files: where an array's numbers end, or the pickle of an array of objects begins."""

from __future__ import annotations

import ast
import math
import struct
from dataclasses import dataclass
from typing import IO

import numpy as np

MARK = b"\x93NUMPY"
_MAX_HEADER = 1024 * 1024


@dataclass(frozen=True)
class Array:
    """An array in a file.

    Attributes:
        start: offset of its numbers, or of its pickle.
        size: bytes of its numbers, or None when it is an array of objects, which is pickled.
    """

    start: int
    size: int | None


def read(file: IO[bytes], start: int) -> Array | None:
    """Return the array whose header begins at an offset, or None when none does.

    A header that cannot be parsed counts as one of objects: numpy's own reader may be more tolerant.
    """
    file.seek(start)
    head = file.read(len(MARK) + 2)
    if len(head) < len(MARK) + 2 or not head.startswith(MARK):
        return None
    layout = "<H" if head[6] == 1 else "<I"
    raw = file.read(struct.calcsize(layout))
    if len(raw) < struct.calcsize(layout):
        return Array(file.tell(), None)
    (length,) = struct.unpack(layout, raw)
    text = file.read(min(length, _MAX_HEADER))
    return Array(file.tell(), _size(text))


def _size(text: bytes) -> int | None:
    try:
        header = ast.literal_eval(text.decode("latin-1"))
        kind = np.lib.format.descr_to_dtype(header["descr"])
        shape = header["shape"]
        if kind.hasobject or not all(isinstance(length, int) and 0 <= length < 1 << 48 for length in shape):
            return None
        return int(math.prod(shape) * kind.itemsize)
    except Exception:  # noqa: BLE001 (hostile headers make the parsers raise anything; they are taken for objects)
        return None
