"""Tests of content.cards.architecture: family, sizes and task from a configuration or from GGUF metadata."""

from pathlib import Path
from typing import Any

import pytest

from tests.content.headers.samples import gguf, llama, pair, tensor
from weighbridge.content.cards.architecture import config_fields, gguf_fields
from weighbridge.content.headers.gguf import GgufHeader, read

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "max_position_embeddings": 128,
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def stated(config: dict[str, Any]) -> dict[str, Any]:
    return {name: field.value for name, field in config_fields(config, "config.json")}


def header(folder: Path, pairs: list[bytes]) -> GgufHeader:
    path = folder / "model.gguf"
    path.write_bytes(gguf(pairs, [tensor("token_embd.weight", (64, 300), 0, 0)], bytes(64 * 300 * 4)))
    return read(path)


class TestConfiguration:
    def test_fields_have_the_key_that_they_were_read_from(self) -> None:
        fields = dict(config_fields(LLAMA, "config.json"))
        assert {name: field.value for name, field in fields.items()} == {
            "architecture": "llama",
            "context_length": 128,
            "vocab_size": 300,
            "hidden_size": 64,
            "layers": 2,
            "task": "text-generation",
        }
        assert fields["context_length"].read_from == "config.json#max_position_embeddings"

    def test_names_of_other_families_and_of_language_parts_are_read(self) -> None:
        gpt2 = {"model_type": "gpt2", "n_positions": 1024, "n_embd": 768, "n_layer": 12}
        assert stated(gpt2) == {"architecture": "gpt2", "context_length": 1024, "hidden_size": 768, "layers": 12}
        fields = dict(config_fields({"thinker_config": {"text_config": LLAMA}}, "config.json"))
        assert fields["layers"].value == 2
        assert fields["layers"].read_from == "config.json#thinker_config.num_hidden_layers"

    @pytest.mark.parametrize("number", [0, -1, True, 2**40, "128", 1.5, None, [128]])
    def test_implausible_numbers_are_left_out(self, number: object) -> None:
        assert "context_length" not in stated(LLAMA | {"max_position_embeddings": number})

    @pytest.mark.parametrize(
        ("config", "task"),
        [
            ({"architectures": ["BertForMaskedLM"]}, "fill-mask"),
            ({"architectures": ["BertModel"]}, "feature-extraction"),
            ({"architectures": ["T5ForConditionalGeneration"]}, "text2text-generation"),
            ({"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}, "image-text-to-text"),
            ({"model_type": "whisper"}, "automatic-speech-recognition"),
            ({"architectures": ["SomethingElse"]}, None),
            ({"architectures": "LlamaForCausalLM"}, None),
            ({"architectures": [1, {}]}, None),
        ],
    )
    def test_the_task_follows_from_the_class(self, config: dict[str, Any], task: str | None) -> None:
        assert stated(config).get("task") == task


class TestGguf:
    def test_fields_of_a_language_model(self, tmp_path: Path) -> None:
        known = header(tmp_path, llama())
        fields = {name: field.value for name, field in gguf_fields(known, "model.gguf")}
        assert fields["architecture"] == "llama"
        assert fields["vocab_size"] == 300, "the rows of the embedding, where no tokenizer states the number"

    def test_an_encoder_has_its_task(self, tmp_path: Path) -> None:
        known = header(tmp_path, [pair("general.architecture", "bert"), pair("bert.context_length", 512)])
        fields = {name: field.value for name, field in gguf_fields(known, "model.gguf")}
        assert (fields["task"], fields["context_length"]) == ("feature-extraction", 512)

    def test_metadata_without_an_architecture_state_nothing(self, tmp_path: Path) -> None:
        known = header(tmp_path, [pair("general.name", "x")])
        assert list(gguf_fields(known, "model.gguf")) == []
