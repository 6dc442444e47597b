"""MessagePack files: walked value by value for pickles that their readers load (msgpack-numpy's arrays of objects).

No value is built: Flax keeps gigabytes of weights so. Format: https://github.com/msgpack/msgpack/blob/master/spec.md.
Not here: what a pickle would do (pickles.embedded).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from weighbridge.content.findings import Findings
from weighbridge.content.pickles import embedded
from weighbridge.domain.report import Finding

#: Values of one file, and levels of nesting.
MAX_VALUES = 20_000_000
MAX_DEPTH = 200
#: Numbers by their first byte: how many bytes follow.
_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_FIXED |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
#: Texts, bytes and extensions by their first byte: the width of their length, and how many bytes come before them.
_SIZED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
_SIZED |= {0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
#: Extensions of a fixed size, with the byte of their type.
_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
#: Arrays and maps by their first byte: the width of their length, and values of each entry.
_CONTAINERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
_WIDTHS = {1: "B", 2: ">H", 4: ">I"}


@dataclass(frozen=True)
class MsgpackHeader:
    """What a file's values lead to.

    Attributes:
        values: how many were walked.
        bytes_read: of the file.
        findings: `pickle.embedded`.
        failure: why it could not be read to its end, or empty.
    """

    values: int = 0
    bytes_read: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""


class _Broken(ValueError):
    """The bytes are not MessagePack; the text has the reason."""


def read(path: Path) -> MsgpackHeader:
    """Walk a file's values to its end."""
    findings = Findings()
    with open(path, "rb", buffering=256 * 1024) as file:
        walker = _Walker(file, path.stat().st_size, findings)
        failure = ""
        try:
            walker.walk()
        except _Broken as error:
            failure = f"its values cannot be read to their end: {error}"
        return MsgpackHeader(walker.values, file.tell(), findings.all, failure)


class _Walker:
    def __init__(self, file: BinaryIO, size: int, findings: Findings) -> None:
        self._file, self._size, self._findings = file, size, findings
        self.values = 0

    def walk(self) -> None:
        """Walk one value after the other; `open_` holds how many are still to come of each container around."""
        open_: list[int] = []
        while open_ or self._file.tell() < self._size:
            count = self._value()
            if open_:
                open_[-1] -= 1
            open_.append(count)
            if len(open_) > MAX_DEPTH:
                raise _Broken(f"they are nested deeper than {MAX_DEPTH} levels")
            while open_ and not open_[-1]:
                open_.pop()

    def _value(self) -> int:
        """Read one value and return how many it holds."""
        self.values += 1
        if self.values > MAX_VALUES:
            raise _Broken(f"there are more than {MAX_VALUES:,}")
        at = self._file.tell()
        first = self._take(1)[0]
        if first <= 0x7F or first >= 0xE0:
            return 0
        if first <= 0x8F:
            return 2 * (first & 15)
        if first <= 0x9F:
            return first & 15
        if first <= 0xBF:
            self._content(first & 31, at)
        elif first in _FIXED:
            self._take(_FIXED[first])
        elif first in _EXTENSIONS:
            self._content(_EXTENSIONS[first], at, skipped=1)
        elif first in _SIZED:
            width, skipped = _SIZED[first]
            self._content(self._length(width), at, skipped)
        elif first in _CONTAINERS:
            width, each = _CONTAINERS[first]
            count = each * self._length(width)
            if count > self._size - self._file.tell():
                raise _Broken("a container holds more values than bytes are left")
            return count
        else:
            raise _Broken(f"no value begins with the byte {first}")
        return 0

    def _length(self, width: int) -> int:
        value: int = struct.unpack(_WIDTHS[width], self._take(width))[0]
        return value

    def _content(self, length: int, at: int, skipped: int = 0) -> None:
        """Pass a text, bytes or an extension, and look into one that may be a pickle."""
        self._take(skipped)
        if length > self._size - self._file.tell():
            raise _Broken("the file ends inside of a value")
        if length > embedded.MAX_LENGTH:
            # Weights: what is larger than any object that a table holds is passed by.
            self._file.seek(length, os.SEEK_CUR)
            return
        self._findings.extend(embedded.inspect(self._file.read(length), f"value@{at}"))

    def _take(self, count: int) -> bytes:
        content = self._file.read(count)
        if len(content) < count:
            raise _Broken("the file ends inside of a value")
        return content
