"""The symbolic stack and memo of an unpickler: values are opaque but for the few that can name a global.

Not here: what an opcode does to them (machine).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Anything that is not followed.
OPAQUE = None
#: A value that is certainly neither text nor callable, such as a number.
PLAIN = object()
_MARK = object()


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes that a pickle holds.

    Attributes:
        start: their offset in the file.
        size: how many there are.
    """

    start: int
    size: int


class Stack:
    """The stack; values below a mark are inaccessible until the mark is popped, as in every unpickler of Python 3."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def __len__(self) -> int:
        return len(self._values)

    def push(self, value: Any) -> None:
        """Put a value on top."""
        self._values.append(value)

    def mark(self) -> None:
        """Put a mark on top."""
        self._values.append(_MARK)

    def pop(self) -> None:
        """Take the topmost value or mark."""
        self._values.pop()

    def top(self) -> Any:
        """Return the topmost value. Raises IndexError when there is none above the topmost mark."""
        if not self._values or self._values[-1] is _MARK:
            raise IndexError("the stack is empty")
        return self._values[-1]

    def replace(self, value: Any) -> None:
        """Put a value in the place of the topmost one."""
        self._values[-1] = value

    def take(self, count: int) -> list[Any]:
        """Take the topmost values. Raises IndexError when there are fewer above the topmost mark."""
        start = len(self._values) - count
        taken = self._values[start:] if start >= 0 else []
        if len(taken) < count or _MARK in taken:
            raise IndexError("the stack is empty")
        del self._values[start:]
        return taken

    def take_to_mark(self) -> list[Any]:
        """Pop and return everything above the topmost mark, and the mark. Raises IndexError when there is none."""
        values = self._values
        for place in range(len(values) - 1, -1, -1):
            if values[place] is _MARK:
                taken = values[place + 1 :]
                del values[place:]
                return taken
        raise IndexError("there is no mark")


class Memo:
    """The memo: numbers to values. Picklers count up, so a list holds nearly all of it."""

    def __init__(self) -> None:
        self._dense: list[Any] = []
        self._sparse: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._dense) + len(self._sparse)

    def put(self, key: int, value: Any) -> None:
        """Keep a value. Raises ValueError when its number is negative."""
        if 0 <= key < len(self._dense):
            self._dense[key] = value
        elif key == len(self._dense):
            self._sparse.pop(key, None)
            self._dense.append(value)
        elif key < 0:
            raise ValueError("its place in the memo is negative")
        else:
            self._sparse[key] = value

    def get(self, key: int) -> Any:
        """Return a value. Raises KeyError when none was kept under that number."""
        return self._dense[key] if 0 <= key < len(self._dense) else self._sparse[key]


def is_no_text(value: Any) -> bool:
    """Return whether a value certainly names neither a module nor an attribute; a global may well be a text."""
    return value is PLAIN or isinstance(value, int | tuple | dict | Bytes)


def is_data(value: Any) -> bool:
    """Return whether a value certainly cannot be called."""
    return isinstance(value, str) or is_no_text(value)
