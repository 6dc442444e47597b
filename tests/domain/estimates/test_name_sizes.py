"""Sizes in names: the 22 of the facts, and what must not be taken for one."""

from __future__ import annotations

import pytest

from weighbridge.domain.estimates.name_sizes import size_in_name

B = 1_000_000_000


@pytest.mark.parametrize(
    ("name", "billions", "active"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8, None),
        ("meta-llama/Llama-3.1-405B-Instruct", 405, None),
        ("Qwen/Qwen2.5-1.5B-Instruct", 1.5, None),
        ("Qwen/Qwen2.5-7B-Instruct-1M", 7, None),
        ("Qwen/Qwen3-30B-A3B", 30, 3),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", 235, 22),
        ("Qwen/Qwen1.5-MoE-A2.7B", None, 2.7),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 0.135, None),
        ("bigscience/bloom-560m", 0.56, None),
        ("mistralai/Mistral-7B-Instruct-v0.3", 7, None),
        ("google/gemma-3n-E2B-it", None, None),
        ("google/gemma-2-2b-it", 2, None),
        ("THUDM/glm-4-9b-chat-1m", 9, None),
        ("01-ai/Yi-34B-200K", 34, None),
        ("unsloth/Meta-Llama-3.1-8B-bnb-4bit", 8, None),
        ("microsoft/Phi-3-mini-4k-instruct", None, None),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1.1, None),
        ("codellama/CodeLlama-34b-hf", 34, None),
        ("openai/gpt-oss-120b", 120, None),
        ("deepseek-ai/DeepSeek-V3.1", None, None),
        ("togethercomputer/LLaMA-2-7B-32K", 7, None),
        ("facebook/wav2vec2-large-960h", None, None),
    ],
)
def test_a_size_is_what_the_name_says(name: str, billions: float | None, active: float | None) -> None:
    size = size_in_name(name)
    assert size.total == (None if billions is None else billions * B)
    assert size.active == (None if active is None else active * B)


@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 46_702_792_704),
        ("mistralai/Mixtral-8x22B-Instruct-v0.1", 140_630_071_296),
        ("mlabonne/Beyonder-4x7B-v2", 24_153_690_112),
    ],
)
def test_a_mixture_shares_what_is_no_expert(name: str, true: int) -> None:
    size = size_in_name(name)
    assert size.total == pytest.approx(true, rel=0.04)
    assert size.most is not None
    assert true < size.most


@pytest.mark.parametrize(
    "name", ["", "9" * 10_000 + "b", "0b", "0.0b", "x0b", "999999x999999b", "1e9b", "٣b", "1x" * 5000]
)
def test_nonsense_is_no_size(name: str) -> None:
    assert size_in_name(name).total is None
