"""The header of a safetensors file (https://huggingface.co/docs/safetensors), strictly checked.

`safetensors.safe_open` judges first: it refuses overlaps, gaps, trailing bytes, negative shapes and unknown types. Our
own walk then finds what it lets pass (repeated names), and says what is wrong in a word of its own where the library
has only a sentence. Not here: tensors, and shards that belong together (cards.describe).
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from weighbridge.content import sandbox
from weighbridge.content.findings import Findings, quoted
from weighbridge.domain.report import Finding

#: Bytes of a header that is read at all: sixty thousand tensors in one file, ten times the largest known. The format
#: itself allows 100,000,000, and huggingface_hub 25,000,000.
MAX_HEADER_SIZE = 8_000_000
#: A longer header is read in a child process, one at a time: it takes ten times that in memory.
_SMALL_HEADER = 1024 * 1024
#: Dimensions of a tensor, as NumPy has it.
MAX_DIMENSIONS = 64
#: Bits of one element.
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
BITS |= dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8)
BITS |= {"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64}
BITS |= {"F64": 64, "I64": 64, "U64": 64}
#: Names of tensors of quantized layers in which several weights are packed into one element.
_PACKED = re.compile(r"(\.qweight|\.weight_packed|_packed)$")
#: Names of tensors that belong to a quantization and are not weights of the model.
_OVERHEAD = re.compile(
    r"(\.(qzeros|g_idx|absmax|quant_map|nested_absmax|nested_quant_map|weight_shape|weight_scale\w*|scales)"
    r"|\.quant_state\.\w+|_scales)$"
)
#: The keys of a tensor's entry.
_ENTRY = {"dtype", "shape", "data_offsets"}
#: An entry: type, shape, and where the tensor begins and ends.
_Entry = tuple[Any, tuple[Any, ...], tuple[Any, ...]]


@dataclass(frozen=True)
class SafetensorsHeader:
    """The content of the header; without its tensors when the findings have an error.

    Attributes:
        parameters: number of elements by type.
        packed: of these, elements of tensors in which a quantization packs several weights into one element.
        overhead: of these, elements of tensors that belong to a quantization and are not weights.
        metadata: the publisher's metadata.
        header_size: bytes read: the length and the header.
        data_size: bytes of tensors.
        findings: `safetensors.*`.
        failure: the reason why there is no result (the reader exceeded a limit), or empty.
    """

    parameters: dict[str, int] = field(default_factory=dict)
    packed: dict[str, int] = field(default_factory=dict)
    overhead: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    header_size: int = 0
    data_size: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""


def read(path: Path) -> SafetensorsHeader:
    """Read a file's header, a long one in a child process; never raises because of its content.

    1. The length it declares is within the file and the limit.
    2. `safe_open` accepts it.
    3. Our own walk accepts it.
    """
    findings = Findings()
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if size < 8:
        text = f"It is {size} bytes long, shorter than any safetensors file."
        findings.add("safetensors.header-length", "error", text)
    elif length > size - 8:
        text = f"It declares a header of {length:,} bytes and is {size:,} bytes long."
        findings.add("safetensors.header-length", "error", text)
    elif length > MAX_HEADER_SIZE:
        text = f"It declares a header of {length:,} bytes; {MAX_HEADER_SIZE:,} are read at most."
        findings.add("safetensors.header-length", "error", text)
    if findings.errors:
        return SafetensorsHeader(header_size=min(size, 8), findings=findings.all)
    return walk(path) if length <= _SMALL_HEADER else _in_child(path)


def _in_child(path: Path) -> SafetensorsHeader:
    reading = sandbox.read("safetensors", path)
    if reading.answer is None:
        return SafetensorsHeader(failure=reading.reason)
    found = tuple(Finding(**finding) for finding in reading.answer["findings"])
    return SafetensorsHeader(**{**reading.answer, "findings": found})


def walk_file(path: Path) -> dict[str, Any]:
    """Read a file's header and return `SafetensorsHeader`'s fields as plain JSON; the child's work."""
    return asdict(walk(path))


def walk(path: Path) -> SafetensorsHeader:
    """Read a header whose length is within the file and the limit."""
    findings = Findings()
    size = path.stat().st_size
    refusal = _refusal(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = _parse(file.read(length), findings)
    counts = _Counts()
    spans = _spans(header, counts, findings)
    if not findings.errors:
        _check_spans(sorted(spans), size - 8 - length, findings)
    if refusal and not findings.errors:
        findings.add("safetensors.invalid", "error", f"The safetensors library refuses it: {quoted(refusal)}.")
    if findings.errors:
        return SafetensorsHeader(header_size=8 + length, findings=findings.all)
    return SafetensorsHeader(
        dict(counts.parameters),
        dict(counts.packed),
        dict(counts.overhead),
        header.get("__metadata__") or {},
        8 + length,
        size - 8 - length,
        findings.all,
    )


def _refusal(path: Path) -> str:
    try:
        with safe_open(str(path), framework="np"):
            return ""
    except SafetensorError as error:
        return str(error)
    except (OSError, ValueError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"


def _parse(content: bytes, findings: Findings) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any] | _Entry:
        found = dict(items)
        if len(found) < len(items):
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    text = f"{quoted(key)} is there twice; readers differ in which one they take."
                    findings.add("safetensors.duplicate-key", "error", text)
                seen.add(key)
        return _compact(found)

    try:
        value = json.loads(content.decode(), object_pairs_hook=pairs, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        findings.add("safetensors.json", "error", f"Its header is no JSON: {quoted(str(error))}.")
        return {}
    if not isinstance(value, dict):
        findings.add("safetensors.json", "error", "Its header is no JSON object.")
        return {}
    if not content.startswith(b"{"):
        findings.add("safetensors.json", "warning", "Its header does not begin with “{”, as the format demands.")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _compact(found: dict[str, Any]) -> dict[str, Any] | _Entry:
    """Return a tensor's entry in a fifth of the memory: a header may have a hundred thousand of them."""
    if found.keys() != _ENTRY or not isinstance(found["dtype"], str):
        return found
    shape, offsets = found["shape"], found["data_offsets"]
    if not (isinstance(shape, list) and isinstance(offsets, list)):
        return found
    return sys.intern(found["dtype"]), tuple(shape), tuple(offsets)


class _Counts:
    """Elements by type: of all tensors, and of those with a quantization's names."""

    def __init__(self) -> None:
        self.parameters, self.packed, self.overhead = Counter[str](), Counter[str](), Counter[str]()

    def add(self, name: str, dtype: str, count: int) -> None:
        """Count a tensor's elements."""
        self.parameters[dtype] += count
        if _OVERHEAD.search(name):
            self.overhead[dtype] += count
        elif _PACKED.search(name):
            self.packed[dtype] += count


def _spans(header: dict[str, Any], counts: _Counts, findings: Findings) -> list[tuple[int, int, str]]:
    """Return begin, end and name of every tensor, and count its elements."""
    metadata = header.get("__metadata__", {})
    if metadata is not None and (
        not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values())
    ):
        findings.add("safetensors.metadata", "error", "Its metadata holds something else than texts.")
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        if name == "__metadata__" or (tensor := _tensor(name, entry, findings)) is None:
            continue
        dtype, shape, (begin, end) = tensor
        count = math.prod(shape)
        bits = count * BITS[dtype]
        if bits != (end - begin) * 8:
            needs = f"{bits:,}" if bits < 2**66 else "more than 2^66"
            text = f"Its shape needs {needs} bits, its offsets give it {(end - begin) * 8:,}."
            findings.add("safetensors.size", "error", text, quoted(name))
        counts.add(name, dtype, count)
        spans.append((begin, end, name))
    return spans


def _tensor(name: str, entry: Any, findings: Findings) -> _Entry | None:
    where = quoted(name)
    if isinstance(entry, dict):
        if not entry.keys() >= _ENTRY:
            findings.add("safetensors.tensor", "error", "It has no type, shape and offsets.", where)
            return None
        if more := entry.keys() - _ENTRY:
            findings.add("safetensors.tensor", "warning", f"It has a key of its own: {quoted(min(more))}.", where)
        entry = (entry["dtype"], entry["shape"], entry["data_offsets"])
    elif not isinstance(entry, tuple):
        findings.add("safetensors.tensor", "error", "It has no type, shape and offsets.", where)
        return None
    dtype, shape, offsets = entry
    if not isinstance(dtype, str) or dtype not in BITS:
        findings.add("safetensors.dtype", "error", f"Its type {quoted(dtype)} is unknown.", where)
        return None
    if not isinstance(shape, list | tuple) or len(shape) > MAX_DIMENSIONS or not all(map(_is_size, shape)):
        findings.add("safetensors.shape", "error", f"Its shape {quoted(shape)} is none.", where)
        return None
    if not isinstance(offsets, list | tuple) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        findings.add("safetensors.offsets", "error", f"Its offsets {quoted(offsets)} are none.", where)
        return None
    if offsets[0] > offsets[1]:
        findings.add("safetensors.offsets", "error", "It ends before it begins.", where)
        return None
    return dtype, tuple(shape), tuple(offsets)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _check_spans(spans: list[tuple[int, int, str]], data_size: int, findings: Findings) -> None:
    at = 0
    for begin, end, name in spans:
        if begin < at:
            text = f"It overlaps another tensor by {at - begin:,} bytes."
            findings.add("safetensors.overlap", "error", text, quoted(name))
        elif begin > at:
            text = f"{begin - at:,} bytes before it belong to no tensor."
            findings.add("safetensors.gap", "error", text, quoted(name))
        at = max(at, end)
    if at > data_size:
        findings.add("safetensors.offsets", "error", f"Tensors end {at - data_size:,} bytes after the file does.")
    elif at < data_size:
        text = f"{data_size - at:,} bytes after the last tensor belong to none."
        findings.add("safetensors.trailing-bytes", "error", text)
