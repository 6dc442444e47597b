"""The header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), strictly checked.

Our own bounded walk: every declared count is held against the bytes that are left before anything is read for it, so
that 43 bytes that declare 2^40 elements cost nothing. It reads SmolLM2's header (49,152 tokens) in 0.1 s where
`gguf.GGUFReader` takes 1.7 s and hangs on that file. The types and their block sizes are the `gguf` package's. The walk
runs in a child process nevertheless (sandbox). Not here: tensors, and parts that belong together (cards.describe).
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from weighbridge.content import sandbox
from weighbridge.content.findings import Findings, quoted
from weighbridge.domain.report import Finding

#: What a header may hold; each about ten times the largest known.
MAX_KEYS = 65_536
MAX_TENSORS = 262_144
MAX_ELEMENTS = 16_000_000
MAX_KEY_SIZE = 65_535
#: Bytes of a text that is kept; a longer one (a tokenizer's model) is only counted.
MAX_TEXT_SIZE = 1024 * 1024
#: Elements of an array that is kept; longer ones are only counted.
MAX_KEPT_ELEMENTS = 256
#: As ggml has them: GGML_MAX_NAME (with its final NUL) and GGML_MAX_DIMS.
MAX_NAME_SIZE = 63
MAX_DIMENSIONS = 4

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _BOOL, _U32 = 8, 9, 7, 4
_ALIGNMENT = "general.alignment"


@dataclass(frozen=True)
class GgufHeader:
    """What the header says.

    Attributes:
        metadata: texts, numbers and short arrays by key.
        lengths: number of elements of every array by key.
        parameters: number of weights by type, from the tensors' shapes.
        embedding_rows: rows of `token_embd.weight`, or None.
        tensor_count: tensors.
        data_size: bytes of tensors.
        header_size: bytes read.
        findings: `gguf.*`.
        failure: the reason why there is no result (the reader timed out or failed), or empty.
    """

    metadata: dict[str, Any] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    embedding_rows: int | None = None
    tensor_count: int = 0
    data_size: int = 0
    header_size: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""

    @property
    def valid(self) -> bool:
        """Return whether it was read, without an error."""
        return not self.failure and all(finding.level != "error" for finding in self.findings)


def read(path: Path, limits: sandbox.ReadingLimits | None = None) -> GgufHeader:
    """Read a file's header in a child process; never raises because of its content."""
    reading = sandbox.read("gguf", path, limits)
    if reading.answer is None:
        return GgufHeader(failure=reading.reason)
    return GgufHeader(
        **{**reading.answer, "findings": tuple(Finding(**finding) for finding in reading.answer["findings"])}
    )


def walk_file(path: Path) -> dict[str, Any]:
    """Walk a file's header and return `GgufHeader`'s fields as plain JSON; the child's work."""
    with open(path, "rb", buffering=1024 * 1024) as file:
        return asdict(walk(file, path.stat().st_size))


def walk(file: BinaryIO, size: int) -> GgufHeader:
    """Walk the header of a seekable file of `size` bytes; time and memory are bounded by the limits above."""
    findings = Findings()
    walker = _Walker(file, size, findings)
    try:
        walker.walk()
    except _Broken as error:
        findings.add(error.rule, "error", error.text, error.where)
    return GgufHeader(
        metadata=walker.metadata,
        lengths=walker.lengths,
        parameters=dict(walker.parameters) if not findings.errors else {},
        embedding_rows=walker.embedding_rows,
        tensor_count=walker.tensor_count,
        data_size=walker.data_size,
        header_size=walker.at,
        findings=findings.all,
    )


class _Broken(Exception):
    """The header cannot be read any further."""

    def __init__(self, rule: str, text: str, where: str = "") -> None:
        super().__init__(text)
        self.rule, self.text, self.where = rule, text, where


class _Walker:
    """One pass over a header, front to back; `at` is how far it came."""

    def __init__(self, file: BinaryIO, size: int, findings: Findings) -> None:
        self._file, self._size, self._findings = file, size, findings
        self._order = "<"
        self._elements = 0
        self.at = 0
        self.metadata: dict[str, Any] = {}
        self.lengths: dict[str, int] = {}
        self.parameters: Counter[str] = Counter()
        self.embedding_rows: int | None = None
        self.tensor_count = self.data_size = 0

    def walk(self) -> None:
        """Read magic, version, counts, metadata, tensor infos; then hold the offsets against the file."""
        if self._bytes(4) != b"GGUF":
            raise _Broken("gguf.magic", "It does not begin with “GGUF”.")
        version = self._number("I")
        if version not in (1, 2, 3) and int.from_bytes(version.to_bytes(4, "little"), "big") in (2, 3):
            self._order, version = ">", int.from_bytes(version.to_bytes(4, "little"), "big")
        if version not in (2, 3):
            raise _Broken("gguf.version", f"Its version is {version}; 2 and 3 are known.")
        self.tensor_count, keys = self._number("Q"), self._number("Q")
        # A tensor's entry has at least 24 bytes, a key with its value at least 13.
        self._afford(self.tensor_count, 24, MAX_TENSORS, "tensors")
        self._afford(keys, 13, MAX_KEYS, "keys")
        seen: set[str] = set()
        for _ in range(keys):
            self._pair(seen)
        tensors = self._tensors()
        self._place(tensors)

    def _afford(self, count: int, least: int, limit: int, what: str, where: str = "") -> None:
        left = self._size - self.at
        if count * least > left:
            text = f"It declares {count:,} {what}, which {left:,} bytes cannot hold."
            raise _Broken("gguf.count", text, where)
        if count > limit:
            raise _Broken("gguf.limit", f"It declares {count:,} {what}; {limit:,} are read at most.", where)

    def _bytes(self, count: int) -> bytes:
        content = self._file.read(count) if count <= self._size - self.at else b""
        if len(content) < count:
            raise _Broken("gguf.truncated", f"It ends inside its header, at byte {self._size:,}.")
        self.at += count
        return content

    def _number(self, kind: str) -> Any:
        kind = self._order + kind
        return struct.unpack(kind, self._bytes(struct.calcsize(kind)))[0]

    def _text(self, limit: int, what: str, where: str = "") -> str:
        length = self._number("Q")
        if length > self._size - self.at:
            text = f"{what} declares {length:,} bytes, {self._size - self.at:,} are left."
            raise _Broken("gguf.string", text, where)
        if length > limit:
            raise _Broken("gguf.string", f"{what} has {length:,} bytes; {limit:,} are read at most.", where)
        content = self._bytes(length)
        try:
            return content.decode()
        except UnicodeDecodeError:
            self._findings.add("gguf.text", "warning", f"{what} is not UTF-8.", where)
            return content.decode(errors="replace")

    def _pair(self, seen: set[str]) -> None:
        key = self._text(MAX_KEY_SIZE, "A key")
        if key in seen:
            raise _Broken("gguf.duplicate-key", "The key is there twice.", quoted(key))
        seen.add(key)
        kind = self._number("I")
        if key == _ALIGNMENT and kind != _U32:
            text = (
                f"Its alignment is a value of the type {kind}; llama.cpp ends at all but an unsigned number of 32 bits."
            )
            raise _Broken("gguf.alignment", text, _ALIGNMENT)
        if kind == _ARRAY:
            self._array(key)
        else:
            value = self._value(kind, key)
            if not (isinstance(value, float) and not math.isfinite(value)):
                self.metadata[key] = value

    def _value(self, kind: int, key: str) -> Any:
        if kind == _STRING:
            return self._text(16 * MAX_TEXT_SIZE, "A text", quoted(key))[:MAX_TEXT_SIZE]
        if kind not in _SCALARS:
            raise _Broken("gguf.value-type", f"Its value has the unknown type {kind}.", quoted(key))
        if kind == _BOOL:
            value = self._number("B")
            if value > 1:
                raise _Broken("gguf.value-type", f"Its truth value is {value}.", quoted(key))
            return bool(value)
        return self._number(_SCALARS[kind])

    def _array(self, key: str) -> None:
        kind, length = self._number("I"), self._number("Q")
        where = quoted(key)
        if kind != _STRING and kind not in _SCALARS:
            raise _Broken("gguf.value-type", f"It is an array of the type {kind}, which no reader takes.", where)
        width = 8 if kind == _STRING else struct.calcsize("<" + _SCALARS[kind])
        self._afford(length, width, MAX_ELEMENTS, "elements", where)
        self._elements += length
        if self._elements > MAX_ELEMENTS:
            raise _Broken("gguf.limit", f"Its arrays have more than {MAX_ELEMENTS:,} elements.", where)
        self.lengths[key] = length
        if length <= MAX_KEPT_ELEMENTS:
            values = [self._value(kind, key) for _ in range(length)]
            self.metadata[key] = [v for v in values if not (isinstance(v, float) and not math.isfinite(v))]
        elif kind == _STRING:
            self._skip_texts(length, where)
        else:
            self._skip(length * width)

    def _skip(self, count: int) -> None:
        self._file.seek(count, 1)
        self.at += count

    def _skip_texts(self, count: int, where: str) -> None:
        read, seek, order = self._file.read, self._file.seek, "little" if self._order == "<" else "big"
        at, size = self.at, self._size
        for _ in range(count):
            length = int.from_bytes(read(8), order)  # type: ignore[arg-type]
            at += 8 + length
            if at > size:
                self.at = min(at, size)
                raise _Broken("gguf.string", f"A text declares {length:,} bytes, more than are left.", where)
            if length <= 4096:
                read(length)
            else:
                seek(length, 1)
        self.at = at

    def _tensors(self) -> list[tuple[int, int, str]]:
        sizes = _type_sizes()
        spans = []
        names: set[str] = set()
        for _ in range(self.tensor_count):
            name = self._text(4096, "A tensor's name")
            where = quoted(name)
            if name in names:
                raise _Broken("gguf.duplicate-tensor", "The tensor is there twice.", where)
            names.add(name)
            if len(name.encode()) > MAX_NAME_SIZE:
                self._findings.add("gguf.name", "warning", "Its name is longer than 63 bytes.", where)
            dimensions = self._number("I")
            if dimensions > MAX_DIMENSIONS:
                raise _Broken("gguf.shape", f"It has {dimensions} dimensions; {MAX_DIMENSIONS} are known.", where)
            shape = [self._number("Q") for _ in range(dimensions)]
            kind, offset = self._number("I"), self._number("Q")
            spans.append((offset, self._measure(name, shape, kind, sizes), name))
        return spans

    def _measure(self, name: str, shape: list[int], kind: int, sizes: dict[int, tuple[str, int, int]]) -> int:
        """Return a tensor's size in bytes and count its weights."""
        where = quoted(name)
        count = math.prod(shape)
        if not all(0 < part < 2**63 for part in shape) or count >= 2**63:
            raise _Broken("gguf.shape", f"Its shape {quoted(shape)} is none.", where)
        if kind not in sizes:
            raise _Broken("gguf.type", f"Its type {kind} is unknown.", where)
        type_name, block, width = sizes[kind]
        if (shape[0] if shape else 1) % block:
            raise _Broken("gguf.shape", f"Its rows do not divide into blocks of {block}.", where)
        self.parameters[type_name] += count
        if name == "token_embd.weight" and len(shape) == 2:
            self.embedding_rows = shape[1]
        return count // block * width

    def _place(self, tensors: list[tuple[int, int, str]]) -> None:
        alignment = self.metadata.get(_ALIGNMENT, 32)
        if alignment < 8 or alignment & (alignment - 1):
            raise _Broken("gguf.alignment", f"Its alignment {quoted(alignment)} is none.", _ALIGNMENT)
        start = -(-self.at // alignment) * alignment
        self.data_size = max(0, self._size - start) if tensors else 0
        at = 0
        for offset, size, name in sorted(tensors):
            where = quoted(name)
            if offset % alignment:
                text = f"It begins at {offset:,}, which is no multiple of {alignment}."
                self._findings.add("gguf.alignment", "error", text, where)
            if start + offset + size > self._size:
                text = f"It ends {start + offset + size - self._size:,} bytes after the file does."
                self._findings.add("gguf.offset", "error", text, where)
            if offset < at:
                self._findings.add("gguf.overlap", "error", f"It overlaps another by {at - offset:,} bytes.", where)
            elif offset - at >= alignment:
                text = f"{offset - at:,} bytes before it belong to no tensor."
                self._findings.add("gguf.gap", "error", text, where)
            at = max(at, offset + size)
        rest = self._size - start - at
        if rest >= alignment:
            text = f"{rest:,} bytes after the last tensor belong to none."
            self._findings.add("gguf.trailing-bytes", "warning", text)


def _type_sizes() -> dict[int, tuple[str, int, int]]:
    """Return name, elements of a block and bytes of a block, by ggml's number of the type."""
    from gguf.constants import GGML_QUANT_SIZES

    return {int(kind): (kind.name, block, width) for kind, (block, width) in GGML_QUANT_SIZES.items()}


def file_type(number: object) -> str:
    """Return the name of `general.file_type`, such as `Q4_K_M`, or empty."""
    from gguf.constants import LlamaFileType

    try:
        name = LlamaFileType(number).name
    except ValueError:
        return ""
    return "" if name == "GUESSED" else name.removeprefix("MOSTLY_").removeprefix("ALL_")
