"""Thrift's compact protocol, walked for its texts (doc/specs/thrift-compact-protocol.md of Apache Thrift).

Parquet writes its metadata so. No structure is built: what is walked yields each text with the numbers of the fields
that lead to it. Not here: what the fields mean (arrow).
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_DEPTH = 24
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _TEXT, _LIST, _SET, _MAP, _STRUCT, _UUID = range(1, 14)
_INTEGERS = frozenset({_I16, _I32, _I64})

#: Numbers of fields from the outermost structure inwards, and the place in each list on the way.
Place = tuple[int, ...]


class MalformedThrift(ValueError):
    """The bytes are not such a structure; the text has the reason."""


def texts(content: bytes) -> Iterator[tuple[Place, bytes]]:
    """Yield every text of the structure that begins at the first byte, with its place.

    A list adds the number of the element: `(5, 0, 2)` is field 2 of the first element of field 5.

    Raises:
        MalformedThrift: the bytes are not a structure, or it is nested beyond the limit.
    """
    walker = _Walker(content)
    yield from walker.structure((), 0)


class _Walker:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def _byte(self) -> int:
        if self._at >= len(self._content):
            raise MalformedThrift("it ends inside of a value")
        self._at += 1
        return self._content[self._at - 1]

    def _varint(self) -> int:
        value = 0
        for index in range(10):
            byte = self._byte()
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value
        raise MalformedThrift("a number is too long")

    def _take(self, length: int) -> bytes:
        if length > len(self._content) - self._at:
            raise MalformedThrift("a text ends after its structure does")
        self._at += length
        return self._content[self._at - length : self._at]

    def structure(self, place: Place, depth: int) -> Iterator[tuple[Place, bytes]]:
        if depth > MAX_DEPTH:
            raise MalformedThrift(f"it is nested deeper than {MAX_DEPTH} structures")
        number = 0
        while header := self._byte():
            kind, step = header & 15, header >> 4
            if step:
                number += step
            else:
                zigzag = self._varint()
                number = (zigzag >> 1) ^ -(zigzag & 1)
            yield from self._value(kind, (*place, number), depth)

    def _value(self, kind: int, place: Place, depth: int, *, element: bool = False) -> Iterator[tuple[Place, bytes]]:
        if kind in (_TRUE, _FALSE):
            # A field's truth is in its header; an element's takes a byte.
            self._take(1 if element else 0)
        elif kind == _BYTE:
            self._take(1)
        elif kind in _INTEGERS:
            self._varint()
        elif kind in (_DOUBLE, _UUID):
            self._take(8 if kind == _DOUBLE else 16)
        elif kind == _TEXT:
            yield place, self._take(self._varint())
        elif kind in (_LIST, _SET):
            yield from self._elements(place, depth)
        elif kind == _MAP:
            yield from self._map(place, depth)
        elif kind == _STRUCT:
            yield from self.structure(place, depth + 1)
        else:
            raise MalformedThrift(f"it has a value of the type {kind}")

    def _elements(self, place: Place, depth: int) -> Iterator[tuple[Place, bytes]]:
        if depth > MAX_DEPTH:
            raise MalformedThrift(f"it is nested deeper than {MAX_DEPTH} structures")
        header = self._byte()
        count = header >> 4 if header >> 4 < 15 else self._varint()
        if count > len(self._content) - self._at:
            raise MalformedThrift("a list has more elements than bytes are left")
        for index in range(count):
            yield from self._value(header & 15, (*place, index), depth + 1, element=True)

    def _map(self, place: Place, depth: int) -> Iterator[tuple[Place, bytes]]:
        if depth > MAX_DEPTH:
            raise MalformedThrift(f"it is nested deeper than {MAX_DEPTH} structures")
        if count := self._varint():
            kinds = self._byte()
            if count > len(self._content) - self._at:
                raise MalformedThrift("a map has more entries than bytes are left")
            for index in range(count):
                yield from self._value(kinds >> 4, (*place, index, 0), depth + 1, element=True)
                yield from self._value(kinds & 15, (*place, index, 1), depth + 1, element=True)
