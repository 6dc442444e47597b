"""Harmless model folders of the shapes that the ecosystem has: each must pass under `standard`."""

from __future__ import annotations

import io
import json
import pickle
import struct
import warnings
import zipfile
from argparse import Namespace
from collections import OrderedDict
from datetime import timedelta
from pathlib import PurePosixPath

import numpy as np

from tests.content.headers.samples import gguf, llama, onnx_model, pair, safetensors, tensor, weights
from tests.gate.sample import LLAMA, Files, Sample, as_json
from tests.simulators import samples

_CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_TOOLS = (
    "{%- set ns = namespace(found=false) %}{%- for tool in tools or [] %}{{- tool | tojson(indent=2) }}{%- endfor %}"
    "{%- for m in messages[::-1] %}{%- if m.role == 'user' and not ns.found %}{%- set ns.found = true %}"
    "{{- m.content.split('</think>')[-1].lstrip('\\n') }}{%- endif %}{%- endfor %}"
    "{%- for name, value in arguments | items %}{{- name + '=' + value | string }}{%- endfor %}"
)
_VOCABULARY = {"<s>": 0, "auto_map": 1, "__class__": 2, "trust_remote_code": 3, "_target_": 4}


def _random(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).normal(0, 0.02, size // 4).astype("<f4").tobytes()


def _torch(storages: int = 40) -> bytes:
    """Return a torch file as torch writes one, with storages of random half-precision weights."""
    import torch

    generator = torch.Generator().manual_seed(1)
    state = OrderedDict((f"layers.{n}.weight", torch.randn(64, generator=generator).half()) for n in range(storages))
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _torch_legacy() -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(OrderedDict(w=torch.ones(32).bfloat16()), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def _torch_quantised() -> bytes:
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Quantised tensors are deprecated, and in many published files.
        torch.save({"w": torch.quantize_per_tensor(torch.randn(4, 4), 0.1, 128, torch.quint8)}, buffer)
    return buffer.getvalue()


def _checkpoint() -> bytes:
    """Return a training checkpoint: optimiser states, arguments and paths beside the weights."""
    import torch

    layer = torch.nn.Linear(4, 2)
    optimiser = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 4)).sum().backward()
    optimiser.step()
    buffer = io.BytesIO()
    arguments = Namespace(lr=0.1, folder=PurePosixPath("out"), limit=timedelta(hours=1))
    torch.save({"model": layer.state_dict(), "optimizer": optimiser.state_dict(), "args": arguments}, buffer)
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, mean=np.zeros(80, "<f4"), words=np.array(["a", "b"]), counts=np.arange(7))
    return buffer.getvalue()


def _zip(members: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _keras() -> bytes:
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2, "activation": "relu"}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [dense]}}
    return _zip({"metadata.json": b'{"keras_version": "3.9.0"}', "config.json": as_json(config)})


def _header(length: int) -> bytes:
    """Return a safetensors file whose header has just that many bytes."""
    header: dict[str, object] = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header | {"__metadata__": {"x": ""}})
    header["__metadata__"] = {"x": "y" * (length - len(text))}
    return safetensors(header, bytes(8))


TENSORS = (
    *(
        Sample(f"safetensors-header-{length}", lambda length=length: {"b.safetensors": _header(length)})
        for length in (33_320, 33_416, 33_576, 33_832, 65_536 + 33_416)
    ),
    Sample(
        "safetensors-types", lambda: {"b.safetensors": weights({"a": ("BF16", 2, (8,)), "b": ("F8_E4M3", 1, (4,))})}
    ),
    Sample("torch", lambda: {"pytorch_model.bin": _torch()}),
    Sample("torch-of-a-7b-model", lambda: {"pytorch_model.bin": _torch(290)}),
    Sample("torch-legacy", lambda: {"pytorch_model.bin": _torch_legacy()}),
    Sample("torch-quantised", lambda: {"pytorch_model.bin": _torch_quantised()}),
    Sample("torch-checkpoint", lambda: {"last.ckpt": _checkpoint()}),
    Sample("numpy", lambda: {"stats.npz": _npz(), "mean.npy": samples.npy_of(np.zeros((3, 4)))}),
    Sample("raw-weights", lambda: {"weights.bin": _random(4096), "w.dat": _random(1000, 3)}),
    Sample("raw-zero-points", lambda: {"zero_points.bin": b"\x80" * 512}),
    Sample("raw-ones", lambda: {"norm.bin": b"\x80\x3f" * 200}),
    Sample(
        "gguf", lambda: {"m.gguf": gguf(llama(), [tensor("token_embd.weight", (64, 300), 0, 0)], bytes(64 * 300 * 4))}
    ),
    Sample("gguf-chat", lambda: {"m.gguf": gguf([pair("tokenizer.chat_template", _CHATML)])}),
)
CONFIGURATIONS = (
    Sample("vocabulary", lambda: {"tokenizer.json": as_json({"model": {"vocab": _VOCABULARY, "merges": []}})}),
    Sample(
        "templates",
        lambda: {"chat_template.jinja": _TOOLS.encode(), "tokenizer_config.json": as_json({"chat_template": _CHATML})},
    ),
    Sample(
        "adapter",
        lambda: {
            "adapter_config.json": as_json(
                {"peft_type": "LORA", "auto_mapping": None, "base_model_name_or_path": "org/base", "r": 8}
            )
        },
    ),
    Sample(
        "sentence-transformers",
        lambda: {
            "modules.json": as_json(
                [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
            ),
            "sentence_bert_config.json": as_json({"max_seq_length": 128}),
        },
    ),
    Sample(
        "diffusers",
        lambda: {
            "model_index.json": as_json(
                {
                    "_class_name": "StableDiffusionPipeline",
                    "unet": ["diffusers", "UNet2DConditionModel"],
                    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
                    "image_encoder": [None, None],
                }
            )
        },
    ),
    Sample("yaml-tuple", lambda: {"config.yaml": b"SIZES: !!python/tuple [32, 64]\n"}),
    Sample("json-lines", lambda: {"samples.jsonl": b'{"a": 1}\n{"a": 2}\n'}),
    Sample("labels", lambda: {"labels.txt": b"calendar\nemail\nos\nsystem\n"}),
    Sample("attention", lambda: {"config.json": as_json({**LLAMA, "_attn_implementation": "sdpa"})}),
)
OTHERS = (
    Sample("onnx", lambda: {"m.onnx": onnx_model([]).SerializeToString()}),
    Sample("keras", lambda: {"m.keras": _keras()}),
    Sample(
        "media",
        lambda: {
            "a.mp4": struct.pack(">I", 24) + b"ftypisom\0\0\2\0isomiso2" + bytes(80),
            "s.mp3": b"\xff\xfb\x90\x64" + bytes(100),
        },
    ),
    Sample(
        "licence-and-notice",
        lambda: {
            "LICENSE": b"Apache License\nVersion 2.0\n",
            "NOTICE": b"x\n",
            ".gitattributes": b"*.bin filter=lfs\n",
        },
    ),
    Sample(
        "plain-pickle", lambda: {"scores.pkl": pickle.dumps({"accuracy": 0.9, "labels": ["a", "b"], "ids": {1, 2}})}
    ),
)
HARMLESS: tuple[Sample, ...] = (*TENSORS, *CONFIGURATIONS, *OTHERS)
