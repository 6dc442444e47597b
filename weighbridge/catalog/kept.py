"""Values that were made of the catalog, each kept in memory until the catalog changes: callers ask for the same ones.

Every change of the catalog has a row in the audit log, so that the log's head says whether there was one; what changes
without a row (use of keys and versions, branches and transits of Hubs, deliveries, leases of jobs) is part of no value
that is kept. Not here: the head (catalog.audit).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

from weighbridge.domain.audit import EMPTY, Head

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Values by their keys, which name all that a value depends on besides the catalog. Safe for threads.

    Args:
        most: of all values that are kept, the size; the one that was used the longest time ago is forgotten first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._newest, self._size = EMPTY, 0
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, newest: Head, key: Key) -> Value | None:
        """Return the value of a key, or None where none is kept of the catalog with that newest row."""
        with self._lock:
            if newest != self._newest:
                self._newest, self._size = newest, 0
                self._values.clear()
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, newest: Head, key: Key, value: Value, size: int = 1) -> None:
        """Keep a value, unless `get` was asked of a later catalog meanwhile, or the value is larger than everything.

        Args:
            newest: the newest row before the value was made, so that a change during that makes it anew.
            key: names what it depends on.
            value: the value.
            size: of it, in the unit of `most`.
        """
        with self._lock:
            if newest != self._newest or key in self._values or size > self._most:
                return
            self._values[key] = value, size
            self._size += size
            while self._size > self._most:
                self._size -= self._values.popitem(last=False)[1][1]
