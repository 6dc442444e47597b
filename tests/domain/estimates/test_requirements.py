"""What a model needs in all: parts with their sources, ranges, and the cards it fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.domain.estimates import networks
from weighbridge.domain.estimates.evidence import Evidence, weights_estimate
from weighbridge.domain.estimates.requirements import estimate

GB, GIB = 10**9, 2**30
LLAMA = {**networks.LLAMA_3_1_8B, "model_type": "llama", "intermediate_size": 14336, "tie_word_embeddings": False}
COUNTED = {"parameters": {"BF16": 8_030_261_248}, "total": 8_030_261_248}


def test_parts_have_a_range_and_a_source() -> None:
    found = estimate(Evidence("meta-llama/Llama-3.1-8B-Instruct", COUNTED, config=LLAMA))
    assert [need.tokens for need in found.needs] == [4_096, 32_768, 131_072]
    weights, cache, overhead = found.needs[0].portions
    assert (weights.low, weights.high, weights.source) == (
        *(2 * 8_030_261_248, 2 * 8_030_261_248),
        "safetensors: number and type of weights",
    )
    assert (cache.low, cache.high, cache.source) == (GIB // 2, GIB // 2, "config: attention")
    assert 0 < overhead.low < overhead.high
    assert found.needs[0].low == weights.low + cache.low + overhead.low


def test_cards_and_their_tokens() -> None:
    found = estimate(Evidence("meta-llama/Llama-3.1-8B-Instruct", COUNTED, config=LLAMA))
    small, large, _ = found.fits
    assert (small.fits, large.fits, large.tokens) == ("yes", "yes", 131_072)
    assert small.tokens is not None
    assert small.most_tokens is not None
    assert 20_000 < small.tokens < small.most_tokens < (24 * GB - 2 * 8_030_261_248) // 131_072
    assert estimate(Evidence("org/Llama-3.1-405B")).fits[-1].fits == "no"


def test_a_batch_and_a_smaller_cache() -> None:
    known = Evidence("x", COUNTED, config=LLAMA)
    four = estimate(known, sequences=4).needs[0].portions[1]
    assert four.low == 2 * GIB
    assert estimate(known, sequences=4, cache="fp8").needs[0].portions[1].low == GIB


@pytest.mark.parametrize(
    ("evidence", "source", "parameters"),
    [
        (Evidence("org/x", COUNTED, config=LLAMA), "safetensors", 8_030_261_248),
        (Evidence("org/x", gguf={"total": 8_030_261_312, "context_length": 131_072}), "gguf", 8_030_261_312),
        (Evidence("org/x-70b", config=LLAMA), "config", 8_029_995_008),
        (Evidence("org/x-70b", config={"model_type": "llama"}), "name", 70 * GB),
        (Evidence("org/x"), "", None),
    ],
)
def test_the_best_evidence_speaks(evidence: Evidence, source: str, parameters: int | None) -> None:
    found = weights_estimate(evidence)
    assert (found.source, found.parameters) == (source, parameters)


def test_files_at_hand_are_the_truth_about_bytes() -> None:
    evidence = Evidence("x", metadata=networks.QWEN3_06B_GGUF, size=639_446_688, size_from="x-Q8_0.gguf")
    weights, cache, _ = estimate(evidence).needs[0].portions
    assert (weights.low, weights.high, weights.source) == (639_446_688, 639_446_688, "x-Q8_0.gguf: size on disk")
    assert cache.source == "gguf: attention"


def test_a_mixture_uses_a_part_of_its_weights() -> None:
    mixtral = {
        **networks.grouped(32, 8, 128, 32, 4096, model_type="mixtral", vocab_size=32_000),
        "intermediate_size": 14336,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "tie_word_embeddings": False,
    }
    found = weights_estimate(Evidence("mistralai/Mixtral-8x7B-v0.1", config=mixtral))
    assert found.parameters == pytest.approx(46_702_792_704, rel=1e-3)
    assert found.active == pytest.approx(12_879_925_248, rel=1e-3)
    assert weights_estimate(Evidence("Qwen/Qwen3-30B-A3B")).active == 3 * GB


@pytest.mark.parametrize(
    ("evidence", "true"),
    [
        # llmfit#622: a name without a size made 29.6 billion and 15 GB of it
        (Evidence("unsloth/DeepSeek-R1-0528-Q4_K_M-GGUF", gguf={"total": 671_026_419_200}), 405),
        # llmfit#230: the 10 billion active ones were counted alone
        (Evidence("unsloth/Qwen3.5-122B-A10B-Q4_K_M-GGUF", tags=["gguf"]), 73),
        # accelerate#3379: 64.7 GB were told
        (Evidence("meta-llama/Llama-3.1-70B-Instruct", {"total": 70_553_706_496}), 141.1),
        # llmfit#302: the file has 5.68 GB
        (Evidence("unsloth/Qwen3.5-9B-Q4_K_M-GGUF", gguf={"total": 8_953_803_264}), 5.68),
    ],
)
def test_models_of_which_peers_told_less(evidence: Evidence, true: float) -> None:
    weights = weights_estimate(evidence).portion
    assert weights is not None
    assert weights.low <= true * GB * 1.001
    assert weights.high >= true * GB * 0.999


def test_quantised_by_name_is_a_range() -> None:
    weights = estimate(Evidence("org/Llama-3.1-8B-Instruct-AWQ")).needs[0].portions[0]
    assert weights.low < 5.7 * GB < weights.high
    assert "awq by its name" in weights.source
    several = estimate(Evidence("org/Llama-3.1-8B-GGUF", gguf={"total": 8_030_261_312})).needs[0].portions[0]
    assert several.low < 4.92 * GB < 8.5 * GB < several.high + 0.1 * GB


def test_thirty_two_bits_may_be_loaded_as_sixteen() -> None:
    weights = estimate(Evidence("x", {"parameters": {"F32": 1_000_000_000}})).needs[0].portions[0]
    assert (weights.low, weights.high) == (2 * GB, 4 * GB)


def test_overhead_holds_what_was_measured() -> None:
    """ollama#17201: 2.4 GB for DeepSeek-V2-Lite at 32,768 tokens."""
    config = {
        **networks.DEEPSEEK_V3_1,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "hidden_size": 2048,
        "vocab_size": 102_400,
    }
    known = Evidence("deepseek-ai/DeepSeek-V2-Lite", {"parameters": {"BF16": 15_706_484_224}}, config=config)
    overhead = estimate(known).needs[1].portions[-1]
    assert overhead.low < 2.4 * GB < overhead.high


def test_what_a_picture_of_a_measurement_says() -> None:
    """lilbee#721: the engine took 17.6 GiB for Qwen3.6-27B in Q4_K_M at 65,536 tokens with a cache in q8_0."""
    size = round(27_800_000_000 * 4.89 / 8)
    found = estimate(Evidence("x", config=networks.QWEN3_5_27B, size=size), (65_536,), cache="q8_0").needs[0]
    assert found.low < 17.6 * GIB + 1.5 * GB
    assert found.high > 17.6 * GIB


_SMALL = some.recursive(
    some.one_of(
        some.none(),
        some.booleans(),
        some.sampled_from([0, -1, 1, 8, 4096, 10**400, 1e308, float("nan"), "8", "llama", "gemma3"]),
    ),
    lambda inner: some.one_of(
        some.lists(inner, max_size=4), some.dictionaries(some.sampled_from([*sorted(LLAMA), "total", "x"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.dictionaries(some.sampled_from(sorted(LLAMA)), _SMALL, max_size=6), _SMALL, _SMALL, some.text(max_size=20))
def test_it_never_raises(config: dict[str, Any], one: Any, two: Any, name: str) -> None:
    for known in ({**LLAMA, **config}, one):
        found = estimate(Evidence(name, one, two, known, ["gguf"], two), contexts=[-1, 0, 5])
        assert all(need.low <= need.high for need in found.needs)
        json.dumps(found.to_json(), allow_nan=False)
