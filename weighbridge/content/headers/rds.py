"""R's serialized objects (`.rds`, `.RData`): which kinds of objects they hold, without building one.

A promise is code that R runs as soon as the value is read (CVE-2024-27322); functions and calls run when they
are used. Format: R Internals, "Serialization Formats", and R's src/main/serialize.c. Runs in a child process (sandbox).
Not here: the compression around it (content.archives).
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from weighbridge.content import sandbox
from weighbridge.content.findings import Findings, quoted
from weighbridge.domain.report import Finding

#: Objects of one file; a data frame of texts has one for each.
MAX_ITEMS = 20_000_000
MAX_PENDING = 1_000_000
#: Types of items (SEXPTYPE), and the pseudo types in their place.
_SYMBOL, _PAIRS, _CLOSURE, _ENVIRONMENT, _PROMISE, _CALL = 1, 2, 3, 4, 5, 6
_SPECIAL, _BUILTIN, _TEXT, _DOTS, _TEXTS, _LIST, _EXPRESSIONS, _BYTECODE = 7, 8, 9, 17, 16, 19, 20, 21
_POINTER, _WEAK_REFERENCE, _RAW, _OBJECT = 22, 23, 24, 25
_REFERENCE, _PERSISTENT, _PACKAGE, _NAMESPACE, _COMPACT = 255, 247, 248, 249, 238
_REPEATED, _DEFINED, _CALL_WITH, _PAIRS_WITH = 243, 244, 240, 239
_NOTHING = frozenset({254, 253, 252, 251, 250, 242, 241})
_WIDTHS = {10: 4, 13: 4, 14: 8, 15: 16, _RAW: 1}
_CODE = {
    _CLOSURE: "functions",
    _CALL: "calls",
    _CALL_WITH: "calls",
    _BYTECODE: "bytecode",
    _EXPRESSIONS: "expressions",
    _SPECIAL: "functions of R's",
    _BUILTIN: "functions of R's",
    _PERSISTENT: "references to objects elsewhere",
    _POINTER: "pointers",
}
_HAS_ATTRIBUTES, _HAS_TAG = 1 << 9, 1 << 10


@dataclass(frozen=True)
class RdsHeader:
    """What kinds of objects a file holds.

    Attributes:
        items: how many objects were walked.
        bytes_read: of the file.
        findings: `rds.*`.
        failure: why it could not be read to its end, or empty.
    """

    items: int = 0
    bytes_read: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""


def read(path: Path, limits: sandbox.ReadingLimits | None = None) -> RdsHeader:
    """Walk a file's objects in a child process; never raises because of its content."""
    reading = sandbox.read("rds", path, limits)
    if reading.answer is None:
        return RdsHeader(failure=reading.reason)
    findings = tuple(Finding(**finding) for finding in reading.answer["findings"])
    return RdsHeader(**{**reading.answer, "findings": findings})


def walk_file(path: Path) -> dict[str, Any]:
    """Walk a file and return `RdsHeader`'s fields as plain JSON; the child's work."""
    with open(path, "rb", buffering=256 * 1024) as file:
        return asdict(walk(file, path.stat().st_size))


def walk(file: BinaryIO, size: int) -> RdsHeader:
    """Walk the objects of a file of `size` bytes; what was found before it breaks is kept."""
    walker = _Walker(file, size)
    failure = ""
    try:
        walker.walk()
    except _Broken as error:
        failure = f"R's objects cannot be read to their end: {error}"
    findings = Findings()
    if walker.kinds[_PROMISE]:
        text = f"It holds {walker.kinds[_PROMISE]:,} promises, code that R runs when the value is looked at."
        findings.add("rds.promise", "error", text)
    if code := sorted({what for kind, what in _CODE.items() if walker.kinds[kind]}):
        findings.add("rds.code", "warning", f"It holds {', '.join(code)}, which run when they are used.")
    return RdsHeader(walker.items, file.tell(), findings.all, failure)


class _Broken(ValueError):
    """The bytes are not objects of R; the text has the reason."""


class _Walker:
    """One pass over the items, in the order in which R reads them; `_pending` is what is still to be read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self._order = ">"
        self._pending: list[Callable[[], None]] = []
        self.kinds: Counter[int] = Counter()
        self.items = 0

    def walk(self) -> None:
        head = self._file.read(2)
        if head == b"RD":
            if self._bytes(3) not in (b"X2\n", b"X3\n"):
                raise _Broken("only the binary forms of a workspace are read")
            head = self._bytes(2)
        if head not in (b"X\n", b"B\n"):
            raise _Broken("only the binary forms are read")
        self._order = ">" if head == b"X\n" else "<"
        version, _, _ = self._integer(), self._integer(), self._integer()
        if version == 3:
            self._skip(self._length())
        elif version != 2:
            raise _Broken(f"the version {version} is unknown")
        self._push(self._item)
        while self._pending:
            self._pending.pop()()
        if self._file.tell() != self._size:
            raise _Broken(f"{self._size - self._file.tell():,} bytes follow them")

    def _push(self, *steps: Callable[[], None]) -> None:
        """Add steps, to be done in this order before all others."""
        self._pending += reversed(steps)
        if len(self._pending) > MAX_PENDING:
            raise _Broken("they are nested too deeply")

    def _bytes(self, count: int) -> bytes:
        content = self._file.read(count)
        if len(content) < count:
            raise _Broken("the file ends inside of them")
        return content

    def _integer(self) -> int:
        value: int = struct.unpack(self._order + "i", self._bytes(4))[0]
        return value

    def _length(self) -> int:
        length = self._integer()
        if length == -1:
            high, low = struct.unpack(self._order + "II", self._bytes(8))
            length = high << 32 | low
        if not 0 <= length <= self._size - self._file.tell():
            raise _Broken("a length is more than what is left")
        return length

    def _skip(self, count: int) -> None:
        if count > self._size - self._file.tell():
            raise _Broken("the file ends inside of them")
        self._file.seek(count, os.SEEK_CUR)

    def _repeat(self, count: int, step: Callable[[], None]) -> None:
        """Do a step so many times, each with all that follows from it, before anything else."""
        if count > 0:
            self._push(step, lambda: self._repeat(count - 1, step))

    def _item(self) -> None:
        self.items += 1
        if self.items > MAX_ITEMS:
            raise _Broken(f"there are more than {MAX_ITEMS:,}")
        flags = self._integer()
        kind = flags & 0xFF
        self.kinds[kind] += 1
        attributes = (self._item,) if flags & _HAS_ATTRIBUTES else ()
        if kind in _NOTHING:
            return
        if kind in _WIDTHS:
            self._skip(self._length() * _WIDTHS[kind])
            self._push(*attributes)
        elif kind == _TEXT:
            length = self._integer()
            self._skip(max(length, 0))
            self._push(*attributes)
        elif kind in (_TEXTS, _LIST, _EXPRESSIONS):
            self._push(*attributes)
            self._repeat(self._length(), self._item)
        elif kind in (_PAIRS, _CALL, _CLOSURE, _PROMISE, _DOTS):
            tag = (self._item,) if flags & _HAS_TAG else ()
            self._push(*attributes, *tag, self._item, self._item)
        else:
            self._other(kind, flags, attributes)

    def _other(self, kind: int, flags: int, attributes: tuple[Callable[[], None], ...]) -> None:
        if kind == _REFERENCE:
            if not flags >> 8:
                self._integer()
        elif kind == _SYMBOL:
            self._push(self._item)
        elif kind in (_OBJECT, _WEAK_REFERENCE):
            self._push(*attributes)
        elif kind == _ENVIRONMENT:
            self._integer()
            self._push(*(self._item,) * 4)
        elif kind in (_PERSISTENT, _PACKAGE, _NAMESPACE):
            self._integer()
            self._repeat(self._length(), self._item)
        elif kind == _POINTER:
            self._push(self._item, self._item, *attributes)
        elif kind in (_SPECIAL, _BUILTIN):
            self._skip(self._length())
        elif kind == _COMPACT:
            self._push(self._item, self._item, self._item)
        elif kind == _BYTECODE:
            self._integer()
            self._push(self._bytecode, *attributes)
        else:
            raise _Broken(f"{quoted(kind)} is no type of R's")

    def _bytecode(self) -> None:
        self._push(self._item, self._constants)

    def _constants(self) -> None:
        self._repeat(self._length(), self._constant)

    def _constant(self) -> None:
        kind = self._integer()
        if kind == _BYTECODE:
            self.kinds[kind] += 1
            self._push(self._bytecode)
        elif kind in (_CALL, _PAIRS, _DEFINED, _REPEATED, _CALL_WITH, _PAIRS_WITH):
            self._cell(kind)
        else:
            self._push(self._item)

    def _next_cell(self) -> None:
        self._cell(self._integer())

    def _cell(self, kind: int) -> None:
        """Read one cell of a call in bytecode: attributes, a tag, and two more cells."""
        if kind == _REPEATED:
            self._integer()
            return
        if kind == _DEFINED:
            self._integer()
            kind = self._integer()
        if kind in (_CALL, _PAIRS, _CALL_WITH, _PAIRS_WITH):
            attributes = (self._item,) if kind in (_CALL_WITH, _PAIRS_WITH) else ()
            self._push(*attributes, self._item, self._next_cell, self._next_cell)
        else:
            self._push(self._item)
