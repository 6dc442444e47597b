"""Models: what the benchmarks take in, made by code: valid safetensors of random bytes, nothing to compress."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

HIDDEN = 1024
_CHUNK = 16 * 1024 * 1024


def write_sharded(folder: Path, *, shards: int, shard_size: int) -> None:
    """Write a model of `shards` safetensors files of about `shard_size` bytes, with config, index and README."""
    folder.mkdir(parents=True, exist_ok=True)
    weight_map = {}
    for number in range(1, shards + 1):
        name = f"model-{number:05d}-of-{shards:05d}.safetensors"
        tensor = f"model.layers.{number}.mlp.weight"
        weight_map[tensor] = name
        write_shard(folder / name, tensor, shard_size)
    total = shards * _data_size(shard_size)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "num_hidden_layers": shards,
        "num_attention_heads": 16,
        "vocab_size": 32000,
        "max_position_embeddings": 8192,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model of random weights\n")


def write_shard(path: Path, tensor: str, size: int) -> None:
    """Write one valid safetensors file with one bfloat16 tensor of random bytes."""
    data = _data_size(size)
    header = {tensor: {"dtype": "BF16", "shape": [data // (2 * HIDDEN), HIDDEN], "data_offsets": [0, data]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        left = data
        while left:
            left -= file.write(os.urandom(min(left, _CHUNK)))


def write_small(folder: Path, number: int) -> None:
    """Write a model that is nothing but a few small files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "number": number}))
    (folder / "README.md").write_text(f"---\nlicense: mit\n---\n# Model {number}\n")


def _data_size(size: int) -> int:
    return size // (2 * HIDDEN) * (2 * HIDDEN)
