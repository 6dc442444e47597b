"""The structure of an ONNX file (https://onnx.ai/onnx/repo-docs/IR.html), read without its weights.

The bulk is left out first (protobuf), the rest is read by the `onnx` package, all in a child process (sandbox): memory
stays small whatever the model's size. Not here: what operators do (onnx_operators), running or fully checking a model,
and whether the files that hold its external data exist (cards.completeness).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from weighbridge.content import sandbox
from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers import config, onnx_operators
from weighbridge.content.headers.outside import leaves_model
from weighbridge.content.headers.protobuf import Malformed, Stripper, encode
from weighbridge.domain.paths import safe_path
from weighbridge.domain.report import Finding
from weighbridge.errors import UnsafePath

#: Types that hold weights; the others hold shapes, indices and switches.
_WEIGHTS = {"FLOAT": 32, "FLOAT16": 16, "BFLOAT16": 16, "DOUBLE": 64, "UINT8": 8, "INT8": 8, "UINT4": 4, "INT4": 4}
_WEIGHTS |= {
    "FLOAT8E4M3FN": 8,
    "FLOAT8E4M3FNUZ": 8,
    "FLOAT8E5M2": 8,
    "FLOAT8E5M2FNUZ": 8,
    "FLOAT4E2M1": 4,
    "FLOAT8E8M0": 8,
}
_OTHERS = {"BOOL": 8, "INT16": 16, "UINT16": 16, "INT32": 32, "UINT32": 32, "INT64": 64, "UINT64": 64}
_OTHERS |= {"COMPLEX64": 64, "COMPLEX128": 128, "UINT2": 2, "INT2": 2}
_BITS = _WEIGHTS | _OTHERS
_DATA = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
_BULK = frozenset(f"onnx.TensorProto.{name}" for name in _DATA)
_SIZE_KEY = "weighbridge.raw_data_size"
_MAX_LOCATIONS = 10_000
#: Keys of an entry of external data; ONNX Runtime adds `prepacked_…` (CVE-2026-34445 is about all others).
_EXTERNAL_KEYS = frozenset({"location", "offset", "length", "checksum", "basepath"})


@dataclass(frozen=True)
class OnnxHeader:
    """What the file says.

    Attributes:
        ir_version: version of the format.
        opsets: version by operator domain.
        producer: tool that wrote it.
        metadata: the publisher's metadata.
        parameters: number of weights by type.
        external: files that hold its tensors, relative to its folder; only safe names.
        bytes_read: bytes that were really read.
        findings: `onnx.*`.
        failure: the reason why there is no result, or empty.
    """

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    producer: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    external: list[str] = field(default_factory=list)
    bytes_read: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""


def read(path: Path, limits: sandbox.ReadingLimits | None = None) -> OnnxHeader:
    """Read a file's structure in a child process; never raises because of its content."""
    reading = sandbox.read("onnx", path, limits)
    if reading.answer is None:
        return OnnxHeader(failure=reading.reason)
    return OnnxHeader(
        **{**reading.answer, "findings": tuple(Finding(**finding) for finding in reading.answer["findings"])}
    )


def walk_file(path: Path) -> dict[str, Any]:
    """Read a file's structure and return `OnnxHeader`'s fields as plain JSON; the child's work."""
    return asdict(walk(path))


def walk(path: Path) -> OnnxHeader:
    """Read a file's structure in this process; memory is bounded, native code of protobuf's runs."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    findings = Findings()
    with open(path, "rb", buffering=64 * 1024) as file:
        stripper = Stripper(file, _BULK, _note)
        try:
            content = stripper.strip(onnx.ModelProto.DESCRIPTOR, path.stat().st_size)
            model = onnx.ModelProto.FromString(content)
        except (Malformed, DecodeError) as error:
            findings.add("onnx.invalid", "error", f"It is no ONNX model: {quoted(str(error))}.")
            return OnnxHeader(bytes_read=stripper.read, findings=findings.all)
    if stripper.unknown:
        text = f"{stripper.unknown:,} bytes stand in fields that ONNX does not know."
        findings.add("onnx.unknown-field", "warning", text)
    if foreign := sum(size for name, size in stripper.dropped.items() if name not in _BULK):
        findings.add("onnx.embedded", "warning", f"{foreign:,} bytes stand in it that are no tensor and were not read.")
    if not model.HasField("graph") or not model.opset_import:
        findings.add("onnx.invalid", "error", "It has no graph, or does not say which operators it uses.")
    said = {_text(entry.key)[:200]: _text(entry.value) for entry in model.metadata_props}
    findings.extend(config.inspect_metadata(said, "metadata_props"))
    parameters, external = _inspect(model, findings)
    return OnnxHeader(
        ir_version=model.ir_version,
        opsets={_text(entry.domain): entry.version for entry in list(model.opset_import)[:100]},
        producer=_text(model.producer_name)[:200],
        metadata={_text(entry.key)[:200]: _text(entry.value)[:2000] for entry in list(model.metadata_props)[:100]},
        parameters=dict(parameters) if not findings.errors else {},
        external=sorted(external),
        bytes_read=stripper.read,
        findings=findings.all,
    )


def _text(value: str | bytes) -> str:
    """Return a text field; protobuf returns bytes for one that is not UTF-8."""
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")


def _note(name: str, length: int) -> bytes:
    """Return an entry of TensorProto.metadata_props (field 16) that says how long its raw data was."""
    if name != "onnx.TensorProto.raw_data":
        return b""
    key, value = _SIZE_KEY.encode(), str(length).encode()
    entry = b"\x0a" + encode(len(key)) + key + b"\x12" + encode(len(value)) + value
    return encode(16 << 3 | 2) + encode(len(entry)) + entry


def _inspect(model: Any, findings: Findings) -> tuple[Counter[str], set[str]]:
    own = {(_text(function.domain), _text(function.name)) for function in model.functions}
    parameters: Counter[str] = Counter()
    external: set[str] = set()
    for graph in _graphs(model):
        counts: dict[str, tuple[str, int]] = {}
        for tensor in graph.initializer:
            counts[tensor.name] = _inspect_tensor(tensor, external, findings)
        for sparse in graph.sparse_initializer:
            counts[sparse.values.name] = _inspect_tensor(sparse.values, external, findings)
            _inspect_tensor(sparse.indices, external, findings)
        _inspect_nodes(graph.node, own, counts, external, findings)
        for kind, count in counts.values():
            if kind in _WEIGHTS:
                parameters[kind] += count
    for function in model.functions:
        _inspect_nodes(function.node, own, {}, external, findings)
        _inspect_attributes(function.attribute_proto, external, findings)
    return parameters, external


def _graphs(model: Any) -> Iterator[Any]:
    stack = [model.graph, *(part for info in model.training_info for part in (info.initialization, info.algorithm))]
    for function in model.functions:
        stack += _subgraphs(attribute for node in function.node for attribute in node.attribute)
        stack += _subgraphs(function.attribute_proto)
    while stack:
        graph = stack.pop()
        yield graph
        stack += _subgraphs(attribute for node in graph.node for attribute in node.attribute)


def _subgraphs(attributes: Iterable[Any]) -> list[Any]:
    found = []
    for attribute in attributes:
        if attribute.HasField("g"):
            found.append(attribute.g)
        found += attribute.graphs
    return found


def _inspect_nodes(
    nodes: Any,
    own: set[tuple[str, str]],
    counts: dict[str, tuple[str, int]],
    external: set[str],
    findings: Findings,
) -> None:
    for node in nodes:
        name = (_text(node.domain), _text(node.op_type))
        sizes = {_text(attribute.name): attribute.i for attribute in node.attribute if attribute.HasField("i")}
        use = onnx_operators.Use(*name, onnx_operators.texts_of(node.attribute), sizes)
        onnx_operators.inspect(use, name in own, findings)
        _inspect_attributes(node.attribute, external, findings)
        packed = node.op_type == "MatMulNBits" and len(node.input) > 1 and node.input[1] in counts
        if packed and 0 < sizes.get("K", 0) < 2**31 and 0 < sizes.get("N", 0) < 2**31:
            # Several weights are packed into each byte of the tensor; its shape does not show them.
            counts[node.input[1]] = ("INT4" if sizes.get("bits", 4) == 4 else "INT8", sizes["K"] * sizes["N"])


def _inspect_attributes(attributes: Any, external: set[str], findings: Findings) -> None:
    """Inspect the tensors of attributes: dense and sparse ones, single ones and lists."""
    for attribute in attributes:
        tensors = [attribute.t] if attribute.HasField("t") else []
        sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for found in (*sparse, *attribute.sparse_tensors):
            tensors += (found.values, found.indices)
        for tensor in (*tensors, *attribute.tensors):
            _inspect_tensor(tensor, external, findings)


def _inspect_tensor(tensor: Any, external: set[str], findings: Findings) -> tuple[str, int]:
    """Return a tensor's type and number of elements; find what is wrong with it."""
    from onnx import TensorProto

    where = quoted(_text(tensor.name))
    known = TensorProto.DataType.values()
    kind = TensorProto.DataType.Name(tensor.data_type) if tensor.data_type in known else ""
    if not kind or kind == "UNDEFINED":
        findings.add("onnx.type", "error", f"Its type {tensor.data_type} is unknown.", where)
        return "", 0
    if len(tensor.dims) > 64 or any(part < 0 for part in tensor.dims):
        findings.add("onnx.shape", "error", f"Its shape {quoted(list(tensor.dims[:8]))} is none.", where)
        return "", 0
    count = math.prod(tensor.dims)
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        _inspect_external(tensor, where, external, findings)
    elif (size := _raw_size(tensor)) is not None and kind in _BITS and size != -(-count * _BITS[kind] // 8):
        findings.add("onnx.tensor-size", "error", f"It holds {size:,} bytes, not what its shape needs.", where)
    return kind, count


def _raw_size(tensor: Any) -> int | None:
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data)
    noted = [_text(entry.value) for entry in tensor.metadata_props if entry.key == _SIZE_KEY]
    return int(noted[-1]) if noted and noted[-1].isdigit() and len(noted[-1]) < 20 else None


def _inspect_external(tensor: Any, where: str, external: set[str], findings: Findings) -> None:
    said = {_text(entry.key): _text(entry.value) for entry in tensor.external_data}
    location = said.get("location", "")
    try:
        safe_path(location.removeprefix("./"))
    except UnsafePath:
        text = f"Its data is said to lie in {quoted(location)}, which is no safe name inside of the model."
        findings.add("onnx.external-path", "error", text, where)
        return
    if unknown := [key for key in said if key not in _EXTERNAL_KEYS and not key.startswith("prepacked_")]:
        text = f"Its external data has the key {quoted(min(unknown))}, which sets any attribute in old readers."
        findings.add("onnx.external-data", "error", text, where)
    if leaves_model(said.get("basepath", "")):
        text = f"Its external data names the folder {quoted(said['basepath'])}, which is outside of the model."
        findings.add("onnx.external-path", "error", text, where)
    for key in ("offset", "length"):
        if not said.get(key, "0").isdigit() or len(said.get(key, "0")) > 19:
            findings.add("onnx.external-data", "error", f"The {key} of its external data is no number.", where)
    if len(external) >= _MAX_LOCATIONS:
        findings.add("onnx.limit", "error", f"Its tensors lie in more than {_MAX_LOCATIONS:,} files.")
    else:
        external.add(location.removeprefix("./"))
