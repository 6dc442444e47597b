"""Configurations of published models, as far as their caches go: numbers out of their config.json and GGUF metadata."""

from __future__ import annotations

import re
from typing import Any

CAUSAL = {"architectures": ["XForCausalLM"]}


def grouped(layers: int, kv_heads: int, head_dim: int, heads: int, hidden: int, **more: Any) -> dict[str, Any]:
    """Return a configuration with grouped attention."""
    return {
        **CAUSAL,
        "num_hidden_layers": layers,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "num_attention_heads": heads,
        "hidden_size": hidden,
        **more,
    }


LLAMA_3_1_8B = grouped(32, 8, 128, 32, 4096, max_position_embeddings=131072, vocab_size=128256)
QWEN3_06B = grouped(28, 8, 128, 16, 1024, max_position_embeddings=40960)
GEMMA_3_27B = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16},
    "text_config": grouped(
        62, 16, 128, 32, 5376, model_type="gemma3_text", sliding_window=1024, sliding_window_pattern=6
    ),
}
GEMMA_3_1B = grouped(26, 1, 256, 4, 1152, model_type="gemma3_text", sliding_window=512, sliding_window_pattern=6)
QWEN3_5_27B = {
    "architectures": ["Qwen3_5ForConditionalGeneration"],
    "text_config": grouped(
        layers=64,
        kv_heads=4,
        head_dim=256,
        heads=24,
        hidden=5120,
        full_attention_interval=4,
        linear_num_key_heads=16,
        linear_num_value_heads=48,
        linear_key_head_dim=128,
        linear_value_head_dim=128,
        linear_conv_kernel_dim=4,
    ),
}
_LATENT = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
DEEPSEEK_V3_1 = {
    **CAUSAL,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "hidden_size": 7168,
    **_LATENT,
    "max_position_embeddings": 163840,
}
KIMI_K2_5 = {
    "architectures": ["KimiK25ForConditionalGeneration"],
    "text_config": {**DEEPSEEK_V3_1, "num_attention_heads": 64, "max_position_embeddings": 262144},
}
GPT_OSS_120B = grouped(
    layers=36,
    kv_heads=8,
    head_dim=64,
    heads=64,
    hidden=2880,
    sliding_window=128,
    layer_types=["sliding_attention", "full_attention"] * 18,
)
GPT_OSS_20B = {**GPT_OSS_120B, "num_hidden_layers": 24, "layer_types": ["sliding_attention", "full_attention"] * 12}
MISTRAL_7B_V01 = grouped(32, 8, 128, 32, 4096, model_type="mistral", sliding_window=4096, max_position_embeddings=32768)
GEMMA_4_31B = grouped(
    layers=60,
    kv_heads=16,
    head_dim=256,
    heads=32,
    hidden=5376,
    sliding_window=1024,
    global_head_dim=512,
    num_global_key_value_heads=4,
    layer_types=(["sliding_attention"] * 5 + ["full_attention"]) * 10,
)
GEMMA_3N_E4B = grouped(
    layers=35,
    kv_heads=2,
    head_dim=256,
    heads=8,
    hidden=2048,
    sliding_window=512,
    layer_types=(["sliding_attention"] * 4 + ["full_attention"]) * 7,
    num_kv_shared_layers=15,
)
MIMO_V2_FLASH = grouped(
    layers=48,
    kv_heads=4,
    head_dim=192,
    heads=64,
    hidden=4096,
    sliding_window=128,
    v_head_dim=128,
    swa_num_key_value_heads=8,
    swa_head_dim=192,
    swa_v_head_dim=128,
    hybrid_layer_pattern=[0, 1, 1, 1, 1, *([0, 1, 1, 1, 1, 1] * 7), 0],
)
LFM2_1_2B = {
    **CAUSAL,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 2048,
    "conv_L_cache": 3,
    "layer_types": ["full_attention" if layer in (2, 5, 8, 10, 12, 14) else "conv" for layer in range(16)],
}
#: As the file on the Hub has it (gguf-parser-go#31).
LFM2_1_2B_GGUF = {
    "general.architecture": "lfm2",
    "lfm2.block_count": 16,
    "lfm2.embedding_length": 2048,
    "lfm2.attention.head_count": 32,
    "lfm2.shortconv.l_cache": 3,
    "lfm2.context_length": 128000,
    "lfm2.attention.head_count_kv": [0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0],
}


def gguf(family: str, **said: Any) -> dict[str, Any]:
    """Return metadata of that architecture; `attention_head_count` is `attention.head_count`."""
    return {
        "general.architecture": family,
        **{f"{family}.{re.sub('^attention_', 'attention.', key)}": value for key, value in said.items()},
    }


QWEN3_06B_GGUF = gguf(
    "qwen3",
    block_count=28,
    embedding_length=1024,
    attention_head_count=16,
    attention_head_count_kv=8,
    attention_key_length=128,
    attention_value_length=128,
    context_length=40960,
)
GEMMA_3_27B_GGUF = gguf(
    "gemma3",
    block_count=62,
    embedding_length=5376,
    attention_head_count=32,
    attention_head_count_kv=16,
    attention_key_length=128,
    attention_value_length=128,
    attention_sliding_window=1024,
)
DEEPSEEK_V3_GGUF = {
    **gguf(
        "deepseek2",
        block_count=61,
        embedding_length=7168,
        attention_head_count=128,
        attention_head_count_kv=1,
        attention_key_length=576,
        attention_value_length=512,
        attention_kv_lora_rank=512,
        attention_key_length_mla=192,
        attention_value_length_mla=128,
    ),
    "deepseek2.rope.dimension_count": 64,
}
#: Made before llama.cpp kept latents: it keeps every head (gguf-parser-go#8).
DEEPSEEK_V3_OLD_GGUF = {
    **gguf(
        "deepseek2",
        block_count=61,
        embedding_length=7168,
        attention_head_count=128,
        attention_head_count_kv=128,
        attention_key_length=192,
        attention_value_length=128,
        attention_kv_lora_rank=512,
    ),
    "deepseek2.rope.dimension_count": 64,
}
QWEN3_6_35B_GGUF = {
    **gguf(
        "qwen35moe",
        block_count=40,
        embedding_length=2048,
        attention_head_count=16,
        attention_head_count_kv=2,
        attention_key_length=256,
        attention_value_length=256,
        full_attention_interval=4,
    ),
    "qwen35moe.ssm.inner_size": 4096,
    "qwen35moe.ssm.state_size": 128,
    "qwen35moe.ssm.conv_kernel": 4,
    "qwen35moe.ssm.group_count": 16,
}
GPT_OSS_20B_GGUF = gguf(
    "gpt-oss",
    block_count=24,
    embedding_length=2880,
    attention_head_count=64,
    attention_head_count_kv=8,
    attention_key_length=64,
    attention_value_length=64,
    attention_sliding_window=128,
)
GEMMA_3N_GGUF = gguf(
    "gemma3n",
    block_count=35,
    embedding_length=2048,
    attention_head_count=8,
    attention_head_count_kv=2,
    attention_key_length=256,
    attention_value_length=256,
    attention_sliding_window=512,
    attention_shared_kv_layers=15,
    attention_sliding_window_pattern=[True] * 4 + [False],
)
