"""Bytes of caches: published models in the five cases, what peers got wrong, and what always holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.domain.estimates import networks
from weighbridge.domain.estimates.cache import CacheSize, cache_size, most_tokens
from weighbridge.domain.estimates.config_network import config_network, keeps_cache
from weighbridge.domain.estimates.gguf_network import gguf_network

GIB = 2**30


def size(said: Mapping[str, Any], tokens: int, sequences: int = 1, kind: str = "f16") -> CacheSize:
    network = gguf_network(said) if "general.architecture" in said else config_network(said)
    assert network is not None
    return cache_size(network, tokens, sequences, kind)


@pytest.mark.parametrize(
    ("said", "tokens", "low", "high"),
    [
        # the vectors of facts/hub-catalogue.md § 6: in an engine that honours windows, and in vLLM
        (networks.LLAMA_3_1_8B, 8_192, GIB, GIB),
        (networks.LLAMA_3_1_8B, 131_072, 16 * GIB, 16 * GIB),
        (networks.QWEN3_06B, 40_960, 4.375 * GIB, 4.375 * GIB),
        (networks.GEMMA_3_27B, 131_072, 11_173_625_856, 62 * GIB),
        (networks.GEMMA_3_1B, 32_768, 145_752_064, 832 * 2**20),
        (networks.DEEPSEEK_V3_1, 163_840, 11_513_364_480, 11_513_364_480),
        (networks.KIMI_K2_5, 262_144, 18_421_383_168, 18_421_383_168),
        (networks.GPT_OSS_120B, 1, 73_728, 73_728),
    ],
)
def test_published_models(said: dict[str, Any], tokens: int, low: float, high: float) -> None:
    found = size(said, tokens)
    assert (found.low, found.high) == (low, high)


def test_the_vectors_in_the_words_of_the_facts() -> None:
    assert size(networks.GEMMA_3_27B, 131_072).low / GIB == pytest.approx(10.41, abs=0.005)
    assert size(networks.GEMMA_3_1B, 32_768).low / 2**20 == pytest.approx(139, abs=0.5)
    assert size(networks.DEEPSEEK_V3_1, 163_840).low / GIB == pytest.approx(10.72, abs=0.005)
    assert size(networks.KIMI_K2_5, 262_144).low / GIB == pytest.approx(17.16, abs=0.005)
    assert int(5.38 * GIB / size(networks.GPT_OSS_120B, 1).high) == pytest.approx(78_384, rel=0.001)


def test_layers_of_linear_attention_add_a_constant_state() -> None:
    """Qwen3.5-27B: 16 of 64 layers have attention; the rest is 0.1 to 0.2 GB, at any length."""
    long, short = size(networks.QWEN3_5_27B, 262_144), size(networks.QWEN3_5_27B, 1)
    state = 48 * (48 * 128 * 128 + 3 * (2 * 16 * 128 + 48 * 128))
    assert (long.low, long.high) == (16 * GIB + 2 * state, 16 * GIB + 4 * state)
    assert short.low == 16 * GIB // 262_144 + 2 * state


class TestWhatPeersGotWrong:
    def test_gguf_states_the_length_of_a_key(self) -> None:
        """hf-mem reads embedding_length / head_count, half of the truth for Qwen3-0.6B (unsloth#4757)."""
        assert size(networks.QWEN3_06B_GGUF, 40_960).low == 4.375 * GIB

    def test_heads_in_a_list(self) -> None:
        """gguf-parser-go#31 reads the first of LFM2's heads and finds no cache: 384 MiB at 32,768 tokens."""
        state = 10 * 2048 * 2
        assert size(networks.LFM2_1_2B_GGUF, 32_768).low == 384 * 2**20 + 2 * state
        assert size(networks.LFM2_1_2B, 32_768) == size(networks.LFM2_1_2B_GGUF, 32_768)

    def test_layers_between_those_with_attention(self) -> None:
        """gguf-parser-go#28 counts all 40 blocks of Qwen3.6: four times too much."""
        long, short = size(networks.QWEN3_6_35B_GGUF, 65_537), size(networks.QWEN3_6_35B_GGUF, 1)
        assert long.low - short.low == 10 * 2 * (256 + 256) * 2 * 65_536

    def test_windows_that_llama_cpp_knows_by_the_architecture(self) -> None:
        """gguf-parser-go#32: gpt-oss twice, gemma3n six times too much."""
        assert size(networks.GPT_OSS_20B_GGUF, 131_072).low == 3 * GIB + 12 * 2 * 8 * 64 * 2 * 128
        assert size(networks.GEMMA_3_27B_GGUF, 131_072) == size(networks.GEMMA_3_27B, 131_072)
        per_token = 2 * 2 * 256 * 2
        assert size(networks.GEMMA_3N_GGUF, 32_768).low == per_token * (4 * 32_768 + 16 * 512)
        assert size(networks.GEMMA_3N_E4B, 32_768).low == per_token * (4 * 32_768 + 16 * 512)

    def test_pages_of_vllm(self) -> None:
        """hf-mem#60, #61, #70: every layer of a hybrid takes whole pages, as large as the largest."""
        assert size(networks.GEMMA_4_31B, 1).high == 983_040
        assert size(networks.GPT_OSS_20B, 8_192, 32).high == 12 * GIB

    def test_a_window_that_runtimes_ignore(self) -> None:
        """whichllm#124: Mistral 7B v0.1 says 4,096 and keeps everything."""
        found = size(networks.MISTRAL_7B_V01, 32_768)
        assert (found.low, found.high) == (GIB // 2, 4 * GIB)

    def test_heads_that_differ_behind_a_window(self) -> None:
        """sglang#18039: on 4 cards, 300,288 tokens of MiMo-V2-Flash took 8.38 and 5.59 GB behind windows."""
        network = config_network(networks.MIMO_V2_FLASH)
        assert network is not None
        layers = {layer.window: (layer.values, count) for layer, count in network.groups}
        assert layers == {128: (8 * (192 + 128), 39), None: (4 * (192 + 128), 9)}
        values, count = layers[128]
        assert values * count * 2 * 300_288 / 4 / GIB == pytest.approx(8.38 + 5.59, abs=0.02)

    def test_latent_attention(self) -> None:
        """mlxcel#172, gguf-parser-go#8: engines that keep the heads need up to seventy times as much."""
        found = size(networks.DEEPSEEK_V3_GGUF, 163_840)
        assert found.low == size(networks.DEEPSEEK_V3_1, 163_840).low
        assert found.unpacked == 61 * 128 * (192 + 128) * 2 * 163_840
        assert size(networks.DEEPSEEK_V3_OLD_GGUF, 163_840).low == found.unpacked

    def test_layers_that_predict_ahead_keep_nothing(self) -> None:
        more = {**networks.QWEN3_06B_GGUF, "qwen3.block_count": 29, "qwen3.nextn_predict_layers": 1}
        assert size(more, 40_960) == size(networks.QWEN3_06B_GGUF, 40_960)

    def test_heads_and_batches(self) -> None:
        """vllm-fit#2 multiplies by all heads: eight times the truth."""
        assert size(networks.LLAMA_3_1_8B, 1).low == 2 * 32 * 8 * 128 * 2
        assert size(networks.LLAMA_3_1_8B, 8_192, 4).low == 4 * GIB


@pytest.mark.parametrize(
    ("kind", "share"), [("f16", 1), ("BF16", 1), ("fp8", 0.5), ("q8_0", 0.53125), ("f32", 2), ("unknown", 1)]
)
def test_types_of_the_cache(kind: str, share: float) -> None:
    assert size(networks.LLAMA_3_1_8B, 8_192, 1, kind).low == share * GIB


def test_an_encoder_and_its_decoder() -> None:
    whisper = {
        "is_encoder_decoder": True,
        "decoder_layers": 32,
        "decoder_attention_heads": 20,
        "d_model": 1280,
        "encoder_layers": 32,
        "max_source_positions": 1500,
        "max_target_positions": 448,
    }
    assert size(whisper, 448).low == 32 * 2 * 1280 * 2 * (448 + 1500)
    assert not keeps_cache({"architectures": ["BertModel"]})
    assert keeps_cache({"architectures": ["LlamaForCausalLM"]})


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"num_hidden_layers": 10**400, "num_attention_heads": 4, "hidden_size": 64},
        {"num_hidden_layers": True, "num_attention_heads": 4, "hidden_size": 64},
        {"num_hidden_layers": 4, "num_attention_heads": float("nan"), "hidden_size": 64},
        {"num_hidden_layers": -4, "num_attention_heads": 4, "hidden_size": "64"},
        {"num_hidden_layers": 2_001, "num_attention_heads": 4, "hidden_size": 64},
    ],
)
def test_numbers_that_make_no_sense_are_no_network(said: dict[str, Any]) -> None:
    assert config_network(said) is None


def test_a_list_of_a_million_costs_nothing() -> None:
    many = [8] * 1_000_000
    said = {**networks.LLAMA_3_1_8B, "num_key_value_heads": many, "layer_types": ["full_attention"] * 1_000_000}
    assert size(said, 8_192).low == GIB
    assert size({**networks.QWEN3_06B_GGUF, "qwen3.attention.head_count_kv": many}, 40_960).low == 4.375 * GIB


_KEYS = sorted(
    {
        *(key for said in vars(networks).values() if isinstance(said, dict) for key in said),
        *("layer_types", "attn_type_list", "linear_attn_config", "block_configs", "block_types", "per_layer_config"),
        *("mamba_d_state", "hybrid_override_pattern", "multi_query", "is_encoder_decoder", "num_kv_shared_layers"),
        *("qwen3.ssm.inner_size", "qwen3.ssm.state_size", "qwen3.attention.kv_lora_rank", "full_attn_layers"),
    }
)
_VALUE = some.recursive(
    some.one_of(
        some.sampled_from([0, 1, 2, 4, 8, 61, 2**31, 10**400, -1, -(10**400), 1e308, float("nan"), float("-inf")]),
        some.sampled_from([True, False, None, "8", "attention", "full_attention", "MM-*E", "qwen3", "gemma3", "é"]),
    ),
    lambda inner: some.one_of(
        some.lists(inner, max_size=5), some.dictionaries(some.sampled_from(_KEYS), inner, max_size=5)
    ),
    max_leaves=8,
)
_SAID = some.dictionaries(some.sampled_from(_KEYS), _VALUE, max_size=12)
_BASES = some.sampled_from([said for said in vars(networks).values() if isinstance(said, dict)])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_BASES, _SAID, some.integers(-2, 10**7), some.integers(1, 10**6), some.integers(1, 64))
def test_more_tokens_and_more_sequences_never_need_less(
    known: dict[str, Any], hostile: dict[str, Any], tokens: int, more: int, sequences: int
) -> None:
    said = {**known, **hostile}
    for network in (config_network(said), gguf_network(said)):
        if network is None:
            continue
        one, other = cache_size(network, tokens, sequences), cache_size(network, tokens + more, sequences)
        assert 0 <= one.low <= one.high
        assert one.low <= other.low
        assert one.high <= other.high
        assert one.low <= cache_size(network, tokens, sequences + 1).low


@settings(deadline=None)
@given(some.integers(0, 2**40), some.integers(1, 10**6), some.one_of(some.none(), some.integers(1, 10**6)))
def test_what_fits_is_the_most_that_fits(room: int, each: int, limit: int | None) -> None:
    tokens = most_tokens(lambda number: number * each, room, limit)
    assert tokens == min(room // each, limit or 2**27, 2**27)
