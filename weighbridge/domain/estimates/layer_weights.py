"""How many weights one layer of a network has, computed from its config.json: attention, state, and feed-forward.

Biases and norms of a few thousand numbers are left out. Not here: embeddings, and the parts for images (computed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.estimates.config_network import HEAD_KEYS, head_sizes, kv_heads_of
from weighbridge.domain.estimates.layer_kinds import LayerKind
from weighbridge.domain.estimates.plausible import first_whole, part, text, whole

_MOST = 2**24
INNER_KEYS = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff", "decoder_ffn_dim", "inner_dim")
EXPERT_KEYS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "num_routed_experts")
_CHOSEN_KEYS = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts", "moe_top_k")
_EXPERT_INNER_KEYS = ("moe_intermediate_size", "expert_ffn_hidden_size", "expert_intermediate_size")
_SHARED_INNER_KEYS = (
    *("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size"),
    "moe_shared_intermediate_size",
)
#: Families whose feed-forward part has two matrices; all others have a gate as well.
_UNGATED = frozenset(
    (
        *("gpt2", "arcee", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "falcon", "mpt", "phi", "starcoder2"),
        *(
            "gpt_bigcode",
            "codegen",
            "bert",
            "roberta",
            "xlm-roberta",
            "camembert",
            "distilbert",
            "electra",
            "albert",
            "nemotron",
        ),
        *("nemotron_h", "persimmon", "whisper", "bart", "mbart", "pegasus", "marian", "blenderbot", "m2m_100", "vit"),
        *("clip", "siglip", "deit", "wav2vec2", "hubert", "biogpt", "xglm", "xlm", "mpnet", "deberta"),
        *("deberta-v2", "fsmt", "layoutlm", "convbert"),
    )
)
#: Families whose attention has a gate as large as its queries.
_GATED_ATTENTION = ("qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text")
#: Families of which each layer is attention, a state or a feed-forward part, and only one of them.
_ONE_A_LAYER = ("nemotron_h",)


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """Weights of a layer, or of several.

    Attributes:
        total: all of them.
        active: those that one token uses.
    """

    total: int = 0
    active: int = 0

    def __add__(self, other: LayerWeights) -> LayerWeights:
        """Return the weights of both."""
        return LayerWeights(self.total + other.total, self.active + other.active)


def layer_weights(config: Mapping[str, Any], number: int, kind: LayerKind, hidden: int) -> LayerWeights:
    """Return the weights of one layer."""
    mixer = 0
    if kind in (LayerKind.FULL, LayerKind.WINDOW, LayerKind.BOTH):
        mixer += _attention(config, number, kind, hidden)
    if kind in (LayerKind.STATE, LayerKind.BOTH):
        mixer += _state(config, hidden)
    one = text(config.get("model_type")) in _ONE_A_LAYER
    mixed = LayerWeights(mixer, mixer)
    if (one and kind is not LayerKind.NONE) or text(config.get("model_type")) in ("mamba", "mamba2", "falcon_mamba"):
        return mixed
    return mixed + _feed_forward(config, number, hidden)


def _attention(config: Mapping[str, Any], number: int, kind: LayerKind, hidden: int) -> int:
    heads = _first(config, HEAD_KEYS)
    rank, rotated = _first(config, ("kv_lora_rank",)), _first(config, ("qk_rope_head_dim",))
    if rank and rotated:
        plain, value = _first(config, ("qk_nope_head_dim",)) or 128, _first(config, ("v_head_dim",)) or 128
        queries = heads * (plain + rotated)
        low = _first(config, ("q_lora_rank",))
        asked = hidden * low + low * queries if low else hidden * queries
        return asked + hidden * (rank + rotated) + rank * heads * (plain + value) + heads * value * hidden
    key, value = head_sizes(config, number, kind)
    gate = 2 if text(config.get("model_type")) in _GATED_ATTENTION or config.get("attn_output_gate") is True else 1
    queries = gate * heads * key
    kept = kv_heads_of(config, number, kind) * (key + value)
    return hidden * (queries + kept + heads * value)


def _state(config: Mapping[str, Any], hidden: int) -> int:
    if value_heads := _first(config, ("linear_num_value_heads",)):
        keys = (_first(config, ("linear_num_key_heads",)) or value_heads) * (
            _first(config, ("linear_key_head_dim",)) or 128
        )
        values = value_heads * (_first(config, ("linear_value_head_dim",)) or 128)
        return hidden * (2 * keys + 2 * values + 2 * value_heads) + values * hidden + 4 * (2 * keys + values)
    if linear := part(config, "linear_attn_config"):
        size = _first(linear, ("head_dim",)) or 128
        width = (_first(linear, ("num_heads",)) or 32) * size
        return 4 * hidden * width + 2 * size * (hidden + width)
    if _first(config, ("conv_L_cache",)):
        return 4 * hidden * hidden
    if recurrent := _first(config, ("lru_width",)) or (hidden if "block_types" in config else 0):
        return 3 * hidden * recurrent + 2 * recurrent * recurrent // (_first(config, HEAD_KEYS) or 1)
    state = _first(config, ("mamba_d_state", "ssm_state_size", "state_size", "d_state"))
    if state:
        return _state_space(config, hidden, state)
    width = _first(config, HEAD_KEYS) * head_sizes(config, 0, LayerKind.FULL)[0]
    return 5 * hidden * width  # lightning attention has a gate


def _state_space(config: Mapping[str, Any], hidden: int, state: int) -> int:
    heads = _first(config, ("mamba_n_heads", "mamba_num_heads", "n_mamba_heads"))
    size = _first(config, ("mamba_d_head", "mamba_head_dim", "mamba_headdim"))
    if "state_size" in config and not heads and (own := _first(config, ("num_heads",))):  # Mamba 2
        heads, size = own, _first(config, ("head_dim",))
    expanded = (_first(config, ("mamba_expand", "expand")) or 2) * hidden
    if heads:
        inner = heads * size if size else _first(config, ("mamba_d_ssm",)) or expanded
        groups = _first(config, ("mamba_n_groups", "n_groups", "mamba_ngroups")) or 1
        return hidden * (3 * inner + 2 * groups * state + heads) + 4 * (inner + 2 * groups * state)
    rank = _first(config, ("mamba_dt_rank", "time_step_rank")) or -(-hidden // 16)
    return 3 * hidden * expanded + expanded * (2 * rank + 3 * state + 6)


def _feed_forward(config: Mapping[str, Any], number: int, hidden: int) -> LayerWeights:
    matrices = 3 if _is_gated(config) else 2
    experts, chosen = _first(config, EXPERT_KEYS), _first(config, _CHOSEN_KEYS)
    dense = matrices * hidden * _inner(config, number, hidden)
    if config.get("model_type") == "llama4_text":
        dense = matrices * hidden * (_first(config, ("intermediate_size_mlp",)) or _inner(config, number, hidden))
    if experts < 2 or not _is_mixture(config, number):
        return LayerWeights(dense, dense)
    each = matrices * hidden * (_first(config, _EXPERT_INNER_KEYS) or _inner(config, number, hidden))
    shared = matrices * hidden * _first(config, _SHARED_INNER_KEYS)
    if not shared:
        count = _first(
            config, ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
        )
        shared = (count or config.get("model_type") == "llama4_text") * each
    beside = shared + experts * hidden + (dense if config.get("enable_moe_block") is True else 0)
    return LayerWeights(beside + experts * each, beside + min(chosen or experts, experts) * each)


def _is_gated(config: Mapping[str, Any]) -> bool:
    if projection := text(config.get("feed_forward_proj")):
        return projection.startswith("gated")
    return text(config.get("model_type")) not in _UNGATED


def _inner(config: Mapping[str, Any], number: int, hidden: int) -> int:
    for key in INNER_KEYS:
        stated = config.get(key)
        if isinstance(stated, list):
            return (whole(stated[number], _MOST) or 0) if number < len(stated) else 0
        if found := whole(stated, _MOST):
            if key == "intermediate_size" and config.get("block_auto_adjust_ff_dim") is True:
                return _adjusted(config, found)
            return found // 2 if config.get("model_type") == "recurrent_gemma" else found
    return 4 * hidden


def _adjusted(config: Mapping[str, Any], inner: int) -> int:
    """Return LFM2's width: two thirds of what it states, times a factor, up to a whole multiple."""
    factor = config.get("block_ffn_dim_multiplier")
    plausible = isinstance(factor, (int, float)) and not isinstance(factor, bool) and 0.1 <= factor <= 10
    width = int((float(factor) if plausible else 1.0) * int(2 * inner / 3)) if factor is not None else 2 * inner // 3
    step = _first(config, ("block_multiple_of",)) or 256
    return -(-width // step) * step


def _is_mixture(config: Mapping[str, Any], number: int) -> bool:
    """Return whether a layer has experts; every layer has them where nothing says otherwise."""
    for key in ("mlp_layer_types", "layers_block_type"):
        words = config.get(key)
        if isinstance(words, list) and number < len(words) and words[number] in ("dense", "sparse", "moe", "mlp"):
            return words[number] in ("sparse", "moe")
    chosen = config.get("moe_layers")
    if isinstance(chosen, list):
        return number in chosen[:_MOST_LISTED]
    dense = config.get("mlp_only_layers")
    if isinstance(dense, list) and number in dense[:_MOST_LISTED]:
        return False
    if number < (_first(config, ("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")) or 0):
        return False
    step = _first(config, ("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq"))
    if step and (number + 1) % step and "first_k_dense_replace" not in config:
        return False
    if period := _first(config, ("expert_layer_period",)):
        return number % period == (whole(config.get("expert_layer_offset")) or 0)
    return True


_MOST_LISTED = 2_000


def _first(config: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    found = first_whole(config, keys, _MOST)
    return found[0] if found else 0
