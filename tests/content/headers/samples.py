"""Files of each format, made by code: valid ones small enough to read, and pieces to break them with."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from weighbridge.domain.report import Finding

KINDS = {int: 4, float: 6, bool: 7, str: 8}
TWO = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def rules(findings: Sequence[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def safetensors(header: Mapping[str, Any] | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def weights(shapes: Mapping[str, tuple[str, int, Sequence[int]]]) -> bytes:
    """Return a valid safetensors file: name to (type, bytes of an element, shape)."""
    header: dict[str, Any] = {}
    at = 0
    for name, (dtype, width, shape) in shapes.items():
        size = width
        for part in shape:
            size *= part
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return safetensors(header, bytes(at))


def text(value: str | bytes, order: str = "<") -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return struct.pack(order + "Q", len(content)) + content


def pair(key: str, value: Any, order: str = "<") -> bytes:
    if isinstance(value, list):
        kind = KINDS[type(value[0])]
        body = struct.pack(order + "IQ", kind, len(value)) + b"".join(_value(entry, order) for entry in value)
        return text(key, order) + struct.pack(order + "I", 9) + body
    return text(key, order) + struct.pack(order + "I", KINDS[type(value)]) + _value(value, order)


def _value(value: Any, order: str) -> bytes:
    if isinstance(value, str):
        return text(value, order)
    return struct.pack(order + {bool: "?", int: "I", float: "f"}[type(value)], value)


def tensor(name: str, shape: Sequence[int], kind: int, offset: int, order: str = "<") -> bytes:
    dims = struct.pack(f"{order}I{len(shape)}Q", len(shape), *shape)
    return text(name, order) + dims + struct.pack(order + "IQ", kind, offset)


def gguf(
    pairs: Sequence[bytes] = (),
    tensors: Sequence[bytes] = (),
    data: bytes = b"",
    *,
    version: int = 3,
    keys: int | None = None,
    count: int | None = None,
    order: str = "<",
    alignment: int = 32,
) -> bytes:
    declared = (len(tensors) if count is None else count, len(pairs) if keys is None else keys)
    head = b"GGUF" + struct.pack(order + "IQQ", version, *declared) + b"".join(pairs) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data if tensors else head


def llama(**changed: Any) -> list[bytes]:
    said = {
        "general.architecture": "llama",
        "general.license": "apache-2.0",
        "general.file_type": 0,
        "llama.context_length": 128,
        "llama.embedding_length": 64,
        "llama.block_count": 2,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [f"<{number}>" for number in range(300)],
    }
    return [pair(key, value) for key, value in (said | changed).items()]


def onnx_model(
    initializers: Sequence[TensorProto], nodes: Sequence[onnx.NodeProto] = (), **fields: Any
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Identity", ["x"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        list(initializers),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], **fields)


def external(location: str, **more: str) -> TensorProto:
    found = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        found.external_data.add(key=key, value=value)
    return found


def write(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
