"""Tests of content.cards.weights: which files hold the weights, how many there are, and how they are stored."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.content.headers.samples import gguf, llama, tensor, weights
from weighbridge.content.cards.weights import ModelFile, Weights, find_weights, gigabytes, quantization

BF16 = weights({"a": ("BF16", 2, (300, 64))})
F32 = weights({"b": ("F32", 4, (64, 64))})
GGUF = gguf(llama(), [tensor("token_embd.weight", (64, 300), 0, 0)], bytes(64 * 300 * 4))
KINDS = {".safetensors": "safetensors", ".gguf": "gguf", ".json": "text", ".bin": "pickle", ".h5": "hdf5"}


@pytest.fixture
def found(tmp_path: Path) -> Any:
    """Return a function that writes files and returns the weights among them."""

    def find(files: Mapping[str, bytes], config: Mapping[str, Any] | None = None) -> Weights | None:
        held = []
        for number, (path, content) in enumerate(files.items()):
            local = tmp_path / str(number)
            local.write_bytes(content)
            held.append(ModelFile(path, local, len(content), KINDS[Path(path).suffix]))
        return find_weights(held, config or {})

    return find


class TestChoice:
    def test_safetensors_come_before_the_same_weights_as_a_pickle(self, found: Any) -> None:
        chosen = found({"pytorch_model.bin": b"\x80\x02N.", "model.safetensors": BF16})
        assert (chosen.kind, chosen.files, chosen.count) == ("safetensors", ("model.safetensors",), 300 * 64)

    def test_the_index_names_the_parts(self, found: Any) -> None:
        index = json.dumps({"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}}).encode()
        files = {
            "x-1.safetensors": BF16,
            "x-2.safetensors": F32,
            "consolidated.safetensors": BF16,
            "model.safetensors.index.json": index,
        }
        chosen = found(files)
        assert chosen.files == ("x-1.safetensors", "x-2.safetensors")
        assert dict(chosen.parameters) == {"BF16": 300 * 64, "F32": 64 * 64}
        assert chosen.read_from == "x-1.safetensors and 1 more"

    def test_an_index_that_names_missing_parts_does_not_count(self, found: Any) -> None:
        index = json.dumps({"weight_map": {"a": "x-1.safetensors", "b": "missing.safetensors"}}).encode()
        chosen = found({"x-1.safetensors": BF16, "model.safetensors.index.json": index})
        assert chosen.files == ("x-1.safetensors",)

    def test_variants_of_lower_precision_are_copies(self, found: Any) -> None:
        chosen = found({"weights.safetensors": F32, "weights.fp16.safetensors": BF16})
        assert chosen.files == ("weights.safetensors",)

    def test_a_pipeline_has_weights_in_each_folder(self, found: Any) -> None:
        files = {"model_index.json": b"{}", "unet/model.safetensors": BF16, "vae/model.safetensors": F32}
        assert found(files).files == ("unet/model.safetensors", "vae/model.safetensors")

    def test_the_largest_quantization_counts_and_projectors_do_not(self, found: Any) -> None:
        more = gguf(llama(), [tensor("token_embd.weight", (64, 600), 0, 0)], bytes(64 * 600 * 4))
        chosen = found({"q4.gguf": GGUF, "q8.gguf": more, "mmproj-model.gguf": more + bytes(1000)})
        assert chosen.files == ("q8.gguf",)
        assert chosen.gguf is not None

    def test_states_of_a_training_are_no_weights(self, found: Any) -> None:
        assert found({"optimizer.bin": b"\x80\x02N.", "training_args.bin": b"\x80\x02N.", "config.json": b"{}"}) is None

    def test_other_formats_are_named_without_a_count(self, found: Any) -> None:
        chosen = found({"model.h5": b"\x89HDF\r\n\x1a\n"})
        assert (chosen.kind, chosen.size, chosen.count) == ("hdf5", 8, 0)

    def test_a_broken_header_gives_no_count(self, found: Any) -> None:
        chosen = found({"model.safetensors": BF16[:20]})
        assert (chosen.kind, chosen.count) == ("safetensors", 0)


class TestQuantization:
    def test_packed_weights_are_counted_unpacked(self, found: Any) -> None:
        config = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
        packed = weights({"layer.qweight": ("I32", 4, (64, 8)), "layer.scales": ("F16", 2, (8,))})
        chosen = found({"model.safetensors": packed}, config)
        assert dict(chosen.parameters) == {"INT4": 64 * 8 * 8}, "scales and zeros are no weights"
        assert quantization(chosen, config) == "GPTQ INT4"

    @pytest.mark.parametrize("stated", [{"bits": True}, {"bits": 64}, {"bits": "4"}, "gptq", None])
    def test_an_implausible_width_unpacks_nothing(self, found: Any, stated: object) -> None:
        chosen = found({"model.safetensors": BF16}, {"quantization_config": stated})
        assert dict(chosen.parameters) == {"BF16": 300 * 64}

    def test_a_method_that_is_not_a_word_is_not_shown(self, found: Any) -> None:
        config = {"quantization_config": {"quant_method": "\x1b[31mred"}}
        assert quantization(found({"model.safetensors": BF16}, config), config) == "BF16"

    def test_without_a_count_there_is_none(self, found: Any) -> None:
        assert quantization(found({"model.safetensors": BF16[:20]}), {}) == ""


def test_gigabytes_are_rounded_up() -> None:
    assert [gigabytes(size) for size in (0, 1, 10**8, 10**8 + 1, 10**9)] == [0.0, 0.1, 0.1, 0.2, 1.0]
