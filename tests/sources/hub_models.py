"""A model on a simulated Hub, and what reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulators.hub import Hub
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.huggingface import HuggingFaceSource

WEIGHTS = bytes(range(256)) * 8192  # 2 MiB


FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": WEIGHTS,
    "onnx/model.onnx": b"onnx" * 100,
    "empty.txt": b"",
    "sub dir/näme #1.txt": b"odd",
}


REF = ModelRef.parse("hf:org/name")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("org/name", FILES)
        yield hub


def source(hub: Hub, token: str = "", **settings: Any) -> HuggingFaceSource:
    return HuggingFaceSource(SourceSettings(endpoint=hub.url, auth=Auth(token), **settings))


def commit(hub: Hub, name: str = "org/name") -> str:
    return hub.repositories["models", name].branches["main"]


def tree(hub: Hub, name: str = "org/name") -> str:
    return f"/tree/{commit(hub, name)}"


def read(hub: Hub, manifest: Manifest, path: str, offset: int = 0, token: str = "") -> bytes:
    with source(hub, token).open(manifest.ref, manifest.by_path[path], offset) as stream:
        assert stream.offset == offset
        return b"".join(stream.chunks)
