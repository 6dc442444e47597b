"""Numbers of weights that are computed from a configuration, held against what Transformers builds from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.domain.estimates import networks
from weighbridge.domain.estimates.computed import computed_count


def test_published_models() -> None:
    """The counts are those of the models' own headers."""
    llama = {**networks.LLAMA_3_1_8B, "model_type": "llama", "intermediate_size": 14336, "tie_word_embeddings": False}
    found = computed_count(llama)
    assert found is not None
    assert found.total == pytest.approx(8_030_261_248, rel=1e-4)
    assert found.active == found.total


#: The families whose classes are built here, and how far a computed number may be from theirs.
FAMILIES = {
    **dict.fromkeys(("llama", "qwen2", "qwen3", "gemma2", "phi", "gpt2", "bloom", "falcon"), 0.005),
    **dict.fromkeys(("mixtral", "deepseek_v3", "qwen3_moe", "gpt_oss", "llama4_text"), 0.005),
    **dict.fromkeys(("lfm2", "qwen3_next", "mamba2", "jamba", "gemma3n_text"), 0.01),
    **dict.fromkeys(("bert", "t5", "whisper", "albert", "opt"), 0.03),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_as_transformers_builds_them(family: str) -> None:
    """vllm-fit#27: mixtures counted as dense, and output matrices forgotten."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    small: dict[str, Any] = {} if family in ("mamba2", "gemma3n_text") else {"num_hidden_layers": 4}
    config = transformers.AutoConfig.for_model(family, **small)
    kind = {"t5": "AutoModelForSeq2SeqLM"}.get(family, "AutoModelForCausalLM")
    kind = "AutoModel" if family in ("bert", "whisper", "albert") else kind
    with torch.device("meta"):
        model = getattr(transformers, kind).from_config(config)
    config.architectures = [type(model).__name__]
    found = computed_count(json.loads(config.to_json_string(use_diff=True)))
    assert found is not None
    assert found.total == pytest.approx(sum(each.numel() for each in model.parameters()), rel=FAMILIES[family])


@pytest.mark.parametrize(
    "config",
    [None, [], "x", {}, {"hidden_size": 10**400, "num_hidden_layers": 2, "vocab_size": 5}, {"hidden_size": True}],
)
def test_nothing_is_computed_from_nonsense(config: Any) -> None:
    assert computed_count(config) is None
