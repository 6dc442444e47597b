"""The header of a safetensors file (https://huggingface.co/docs/safetensors), strictly checked.

`safetensors.safe_open` judges first: it refuses overlaps, gaps, trailing bytes, negative shapes and unknown types. Our
own walk then finds what it lets pass (repeated names), and says what is wrong in a word of its own where the library
has only a sentence. Not here: tensors, and shards that belong together (cards.describe).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from weighbridge.content.findings import Findings, quoted
from weighbridge.domain.report import Finding

#: Bytes of a header that is read at all, as huggingface_hub has it; the format itself allows 100,000,000.
MAX_HEADER_SIZE = 25_000_000
#: Dimensions of a tensor, as NumPy has it.
MAX_DIMENSIONS = 64
#: Bits of one element.
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
BITS |= dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8)
BITS |= {"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64}
BITS |= {"F64": 64, "I64": 64, "U64": 64}


@dataclass(frozen=True)
class Tensor:
    """One tensor: its name, type and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class SafetensorsHeader:
    """What the header says; no tensors when an error stands among the findings.

    Attributes:
        tensors: in the header's order.
        metadata: the publisher's own words.
        header_size: bytes read: the length and the header.
        data_size: bytes of tensors.
        findings: `safetensors.*`.
    """

    tensors: tuple[Tensor, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    header_size: int = 0
    data_size: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def parameters(self) -> Counter[str]:
        """Number of elements by type."""
        count: Counter[str] = Counter()
        for tensor in self.tensors:
            count[tensor.dtype] += tensor.count
        return count


def read(path: Path) -> SafetensorsHeader:
    """Read a file's header; never raises because of its content.

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
            return SafetensorsHeader(header_size=size, findings=findings.all)
        if length > size - 8:
            text = f"It declares a header of {length:,} bytes and is {size:,} bytes long."
            findings.add("safetensors.header-length", "error", text)
            return SafetensorsHeader(header_size=8, findings=findings.all)
        if length > MAX_HEADER_SIZE:
            text = f"It declares a header of {length:,} bytes; {MAX_HEADER_SIZE:,} are read at most."
            findings.add("safetensors.header-length", "error", text)
            return SafetensorsHeader(header_size=8, findings=findings.all)
        content = file.read(length)
    refusal = _refusal(path)
    header = _parse(content, findings)
    tensors = _tensors(header, size - 8 - length, findings)
    if refusal and not findings.errors:
        findings.add("safetensors.invalid", "error", f"The safetensors library refuses it: {quoted(refusal)}.")
    if findings.errors:
        return SafetensorsHeader(header_size=8 + length, findings=findings.all)
    metadata = header.get("__metadata__") or {}
    return SafetensorsHeader(tensors, metadata, 8 + length, size - 8 - length, findings.all)


def _refusal(path: Path) -> str:
    try:
        with safe_open(str(path), framework="np"):
            return ""
    except SafetensorError as error:
        return str(error)
    except (OSError, ValueError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"


def _parse(content: bytes, findings: Findings) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    text = f"{quoted(key)} is there twice; readers differ in which one they take."
                    findings.add("safetensors.duplicate-key", "error", text)
                seen.add(key)
        return found

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


def _tensors(header: dict[str, Any], data_size: int, findings: Findings) -> tuple[Tensor, ...]:
    metadata = header.get("__metadata__", {})
    if metadata is not None and (
        not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values())
    ):
        findings.add("safetensors.metadata", "error", "Its metadata holds something else than texts.")
    tensors = []
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if (tensor := _tensor(name, entry, findings)) is None:
            continue
        tensors.append(tensor)
        begin, end = entry["data_offsets"]
        bits = tensor.count * BITS[tensor.dtype]
        if bits != (end - begin) * 8:
            needs = f"{bits:,}" if bits < 2**66 else "more than 2^66"
            text = f"Its shape needs {needs} bits, its offsets give it {(end - begin) * 8:,}."
            findings.add("safetensors.size", "error", text, quoted(name))
        spans.append((begin, end, name))
    if not findings.errors:
        _check_spans(sorted(spans), data_size, findings)
    return tuple(tensors)


def _tensor(name: str, entry: Any, findings: Findings) -> Tensor | None:
    where = quoted(name)
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        findings.add("safetensors.tensor", "error", "It has no type, shape and offsets.", where)
        return None
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        findings.add("safetensors.dtype", "error", f"Its type {quoted(dtype)} is unknown.", where)
        return None
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(_is_size(part) for part in shape):
        findings.add("safetensors.shape", "error", f"Its shape {quoted(shape)} is none.", where)
        return None
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_size(part) for part in offsets):
        findings.add("safetensors.offsets", "error", f"Its offsets {quoted(offsets)} are none.", where)
        return None
    if offsets[0] > offsets[1]:
        findings.add("safetensors.offsets", "error", "It ends before it begins.", where)
        return None
    if more := entry.keys() - {"dtype", "shape", "data_offsets"}:
        findings.add("safetensors.tensor", "warning", f"It has a key of its own: {quoted(min(more))}.", where)
    return Tensor(name, dtype, tuple(shape))


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
