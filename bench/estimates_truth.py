"""What the estimates are held against: families of Transformers, small models that fill a cache, published counts."""

from __future__ import annotations

from typing import Any

_DECODERS = (
    *(
        "llama",
        "mistral",
        "qwen2",
        "qwen3",
        "gemma",
        "gemma2",
        "gemma3_text",
        "phi",
        "phi3",
        "gpt2",
        "gpt_neox",
        "gptj",
    ),
    *("opt", "bloom", "falcon", "mpt", "stablelm", "olmo2", "olmo3", "cohere", "cohere2", "granite", "glm", "glm4"),
    *("starcoder2", "smollm3", "mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v2", "deepseek_v3", "gpt_oss", "olmoe"),
    *("llama4_text", "granitemoe", "qwen3_next", "qwen3_5_text", "lfm2", "jamba", "bamba", "falcon_h1", "mamba"),
    *("mamba2", "nemotron_h", "minimax", "kimi_linear", "recurrent_gemma", "gemma3n_text", "gemma4_text", "ernie4_5"),
    *("ernie4_5_moe", "glm4_moe", "exaone4", "granitemoehybrid", "hunyuan_v1_moe", "seed_oss", "arcee", "helium"),
    *("dots1", "flex_olmo", "lfm2_moe", "zamba2", "persimmon", "codegen", "gpt_neo", "gpt_bigcode", "xglm", "biogpt"),
)
_ENCODERS = ("bert", "roberta", "distilbert", "electra", "albert", "mpnet", "modernbert", "whisper")
#: Families by the class that builds them.
FAMILIES: dict[str, str] = {
    **dict.fromkeys(_DECODERS, "AutoModelForCausalLM"),
    **dict.fromkeys(_ENCODERS, "AutoModel"),
    **dict.fromkeys(("t5", "bart", "mbart", "pegasus"), "AutoModelForSeq2SeqLM"),
    **dict.fromkeys(
        ("llava", "qwen2_vl", "qwen2_5_vl", "gemma3", "mistral3", "internvl"), "AutoModelForImageTextToText"
    ),
}
_SMALL: dict[str, Any] = {
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_MIXTURE = {"moe_intermediate_size": 32, "num_experts_per_tok": 2}
_TWO_WINDOWS = {"sliding_window": 256, "layer_types": ["sliding_attention", "full_attention"] * 2, "head_dim": 32}
_LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": (["linear_attention"] * 3 + ["full_attention"]),
    "head_dim": 32,
}
_LATENT = {"kv_lora_rank": 32, "q_lora_rank": 32, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 24}
#: Families whose small models fill a cache, with what makes them small.
CACHED: dict[str, dict[str, Any]] = {
    "llama": _SMALL,
    "qwen3": {**_SMALL, "head_dim": 32},
    "gemma2": {**_SMALL, **_TWO_WINDOWS},
    "gemma3_text": {**_SMALL, **_TWO_WINDOWS},
    "gpt_oss": {**_SMALL, **_TWO_WINDOWS, "num_local_experts": 4, "num_experts_per_tok": 2},
    "mistral": {**_SMALL, "sliding_window": 256},
    "deepseek_v3": {
        **_SMALL,
        **_LATENT,
        **_MIXTURE,
        "n_routed_experts": 8,
        "n_group": 1,
        "topk_group": 1,
        "num_key_value_heads": 4,
        "first_k_dense_replace": 1,
    },
    "deepseek_v2": {**_SMALL, **_LATENT, **_MIXTURE, "num_key_value_heads": 4, "first_k_dense_replace": 4},
    "qwen3_next": {**_SMALL, **_LINEAR, **_MIXTURE, "num_experts": 4, "shared_expert_intermediate_size": 32},
    "qwen3_5_text": {**_SMALL, **_LINEAR},
    "lfm2": {**_SMALL, "layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_heads": 8,
        "head_dim": 16,
        "state_size": 16,
        "n_groups": 1,
        "vocab_size": 128,
        "expand": 2,
    },
    "falcon_h1": {
        **_SMALL,
        "mamba_d_ssm": 128,
        "mamba_n_heads": 8,
        "mamba_d_head": 16,
        "mamba_d_state": 16,
        "mamba_n_groups": 1,
    },
    "gpt2": {"n_layer": 4, "n_embd": 64, "n_head": 4, "vocab_size": 128, "bos_token_id": 1, "eos_token_id": 2},
    "falcon": {**{key: value for key, value in _SMALL.items() if key != "num_key_value_heads"}, "multi_query": True},
}
#: Weights by the headers of published models.
PUBLISHED: dict[str, int] = {
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.1-70B-Instruct": 70_553_706_496,
    "meta-llama/Llama-3.1-405B-Instruct": 405_853_388_800,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "meta-llama/Llama-3.2-3B-Instruct": 3_212_749_824,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-14B-Instruct": 14_770_033_664,
    "Qwen/Qwen2.5-32B-Instruct": 32_763_876_352,
    "Qwen/Qwen2.5-72B-Instruct": 72_706_203_648,
    "google/gemma-2-2b-it": 2_614_341_888,
    "google/gemma-2-9b-it": 9_241_705_984,
    "google/gemma-2-27b-it": 27_227_128_320,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46_702_792_704,
    "mistralai/Mixtral-8x22B-Instruct-v0.1": 140_630_071_296,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": 1_100_048_384,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1_711_376_384,
}
