"""Files that a model's own papers name and it lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.content.headers.samples import external, onnx_model, weights
from weighbridge.content.cards.describe import describe
from weighbridge.domain.card import ModelCard
from weighbridge.domain.gate import decide
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.ref import ModelRef
from weighbridge.store.local import LocalBlobStore

SHARD = weights({"a": ("BF16", 2, (3, 4))})
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = {"weight_map": {"a": ONE, "b": TWO}}
Files = Mapping[str, bytes | dict[str, Any]]


def card(folder: Path, files: Files) -> tuple[Manifest, ModelCard]:
    store = LocalBlobStore(folder)
    contents = {name: data if isinstance(data, bytes) else json.dumps(data).encode() for name, data in files.items()}
    entries = tuple(FileEntry(name, len(data), store.put([data])) for name, data in contents.items())
    manifest = Manifest(ModelRef("mock", "o/n", "1"), entries)
    return manifest, describe(manifest, store)


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({ONE: SHARD, TWO: SHARD, "model.safetensors.index.json": INDEX}, None),
        ({ONE: SHARD, "model.safetensors.index.json": INDEX}, {TWO: "model.safetensors.index.json"}),
        (
            {"sub/" + ONE: SHARD, "sub/model.safetensors.index.json": INDEX},
            {"sub/" + TWO: "sub/model.safetensors.index.json"},
        ),
        (
            {"model.safetensors.index.json": INDEX},
            {ONE: "model.safetensors.index.json", TWO: "model.safetensors.index.json"},
        ),
        ({ONE: SHARD}, {TWO: ONE}),
        ({TWO: SHARD}, {ONE: TWO}),
        ({"model-00000-of-00002.safetensors": SHARD, "model-00001-of-00002.safetensors": SHARD}, None),
        # All weights in one file, or whole in another variant: the index is a leftover.
        ({"model.safetensors": SHARD, "model.safetensors.index.json": INDEX}, None),
        (
            {"model.safetensors": SHARD, "pytorch_model.bin.index.json": {"weight_map": {"a": "pytorch_model-1.bin"}}},
            None,
        ),
        (
            {
                ONE: SHARD,
                TWO: SHARD,
                "model.safetensors.index.json": INDEX,
                "model.safetensors.index.fp16.json": {"weight_map": {"a": "other.safetensors"}},
                "model.fp16.safetensors.index.json": {"weight_map": {"a": "other.safetensors"}},
            },
            None,
        ),
        ({"model.onnx": onnx_model([external("w.bin")]).SerializeToString()}, {"w.bin": "model.onnx"}),
        ({"model.onnx": onnx_model([external("w.bin")]).SerializeToString(), "w.bin": bytes(64)}, None),
        ({"model.safetensors.index.json": {"weight_map": {"a": "../x", "b": 3}}}, None),
        ({"config.json": {}}, None),
    ],
)
def test_what_is_named_and_not_there_is_told(tmp_path: Path, files: Files, missing: dict[str, str] | None) -> None:
    assert card(tmp_path, files)[1].get("missing_files") == missing


def test_a_model_without_one_of_its_shards_does_not_pass(tmp_path: Path) -> None:
    manifest, found = card(tmp_path, {ONE: SHARD, "model.safetensors.index.json": INDEX})
    decision = decide(manifest, (), found, PRESETS["standard"], datetime(2026, 1, 1, tzinfo=UTC))
    (reason,) = [reason for reason in decision.reasons if reason.rule == "files.missing"]
    assert (reason.effect, reason.path) == ("reject", TWO)
    assert "model.safetensors.index.json" in reason.message
