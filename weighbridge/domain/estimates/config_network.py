"""A network as its config.json describes it: what every layer keeps for a token, and how long its context is.

Not here: what kind each layer is (layer_kinds), how many weights there are (computed), GGUF (gguf_network).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weighbridge.domain.estimates.layer_kinds import WINDOW_KEYS, LayerKind, layer_kinds
from weighbridge.domain.estimates.network import MOST_LAYERS, MOST_VALUES, Network, NetworkLayer, grouped
from weighbridge.domain.estimates.plausible import first_whole, part, whole

#: Where multimodal models keep their language model's part.
PARTS = ("text_config", "llm_config", "language_config", "thinker_config", "decoder", "text_model_config")
CONTEXT_KEYS = (
    *("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx"),
    *("model_max_length", "max_target_positions", "seq_len"),
)
WIDTH_KEYS = ("hidden_size", "d_model", "n_embd", "dim", "model_dim")
LAYER_KEYS = ("num_decoder_layers", "decoder_layers", "num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEAD_KEYS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads", "attention_heads")
KV_KEYS = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num")
#: The most heads, and values of one head, that are believed.
_MOST_HEADS = 65_536
#: How the names of classes end that answer token by token, and so keep what they have read.
_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForSpeechSeq2Seq", "ForImageTextToText")


def language_part(config: object) -> Mapping[str, Any]:
    """Return the part of a configuration that describes the language model, or the whole."""
    whole_config = config if isinstance(config, Mapping) else {}
    if first_whole(whole_config, LAYER_KEYS) and first_whole(whole_config, (*HEAD_KEYS, "state_size")):
        return whole_config
    for name in PARTS:
        if inner := part(whole_config, name):
            return part(inner, "text_config") or inner
    return whole_config


def keeps_cache(config: Mapping[str, Any]) -> bool:
    """Return whether a model's classes answer token by token."""
    classes = config.get("architectures")
    names = classes[:20] if isinstance(classes, list) else []
    return any(isinstance(name, str) and name.endswith(_CAUSAL) for name in names)


def config_network(config: Mapping[str, Any] | None) -> Network | None:
    """Return the network that a config.json describes, or None where it does not say enough."""
    language = language_part(config)
    stated = first_whole(language, LAYER_KEYS, MOST_LAYERS)
    if not stated and isinstance(words := language.get("layers_block_type"), list) and 0 < len(words) <= MOST_LAYERS:
        stated = len(words), "layers_block_type"
    if not stated:
        return None
    layers = _layers(language, stated[0])
    if layers is None:
        return None
    context, vocabulary = first_whole(language, CONTEXT_KEYS), whole(language.get("vocab_size"))
    heads = first_whole(language, HEAD_KEYS, _MOST_HEADS)
    return Network(
        grouped(layers), context[0] if context else None, "config", heads[0] if heads else 0, vocabulary or 0
    )


def _layers(config: Mapping[str, Any], count: int) -> list[NetworkLayer] | None:
    kinds = layer_kinds(config, count)
    found = first_whole(config, WINDOW_KEYS)
    window = found[0] if found else None
    shared = whole(config.get("num_kv_shared_layers"), count) or 0
    state = state_values(config)
    layers = []
    for number, kind in enumerate(kinds):
        values, unpacked = (0, 0)
        if kind in (LayerKind.FULL, LayerKind.WINDOW, LayerKind.BOTH) and number < max(count - shared, 1):
            values, unpacked = layer_values(config, number, kind)
            if not values and not _has_no_attention(config, number):
                return None
        layers.append(
            NetworkLayer(
                values,
                window if kind is LayerKind.WINDOW else None,
                state if kind in (LayerKind.STATE, LayerKind.BOTH) else 0,
                unpacked,
            )
        )
    return layers + _cross_attention(config, layers)


def _cross_attention(config: Mapping[str, Any], layers: list[NetworkLayer]) -> list[NetworkLayer]:
    """Return what a decoder keeps of its encoder's output: as much again, of a length of its own."""
    if config.get("is_encoder_decoder") is not True:
        return []
    source = whole(config.get("max_source_positions"))
    return [NetworkLayer(0, None, layer.values * source) if source else layer for layer in layers]


def layer_values(config: Mapping[str, Any], number: int, kind: LayerKind) -> tuple[int, int]:
    """Return how many numbers a layer keeps for one token, and how many of latent attention's heads, or 0."""
    rank, rotated = whole(config.get("kv_lora_rank"), _MOST_HEADS), whole(config.get("qk_rope_head_dim"), _MOST_HEADS)
    heads = first_whole(config, HEAD_KEYS, _MOST_HEADS)
    if rank and rotated:
        index = whole(config.get("index_head_dim"), _MOST_HEADS) or 0
        key = (whole(config.get("qk_nope_head_dim"), _MOST_HEADS) or 128) + rotated
        value = whole(config.get("v_head_dim"), _MOST_HEADS) or 128
        return rank + rotated + index, (heads[0] if heads else 1) * (key + value)
    kv_heads = kv_heads_of(config, number, kind)
    key, value = head_sizes(config, number, kind)
    values = kv_heads * (key + value)
    return (values, 0) if values <= MOST_VALUES else (0, 0)


def kv_heads_of(config: Mapping[str, Any], number: int, kind: LayerKind) -> int:
    """Return a layer's heads of keys and values; 0 for none."""
    if config.get("multi_query") is True and config.get("new_decoder_architecture") is not True:
        return 1
    heads = first_whole(config, HEAD_KEYS, _MOST_HEADS)
    block = _block(config, number)
    if group := whole(block.get("n_heads_in_group"), _MOST_HEADS):
        return heads[0] // group if heads else 0
    own = whole(_of_layer(config, number).get("num_key_value_heads"), _MOST_HEADS)
    names = ("swa_num_key_value_heads",) if kind is LayerKind.WINDOW else ("num_global_key_value_heads",)
    if own or (own := _first(config, names)):
        return own
    for key in KV_KEYS:
        stated = config.get(key)
        if isinstance(stated, list):
            return (whole(stated[number], _MOST_HEADS) or 0) if number < len(stated) else 0
        if found := whole(stated, _MOST_HEADS):
            return found
    return heads[0] if heads else 0


def head_sizes(config: Mapping[str, Any], number: int, kind: LayerKind) -> tuple[int, int]:
    """Return the numbers of a head's key and of its value; 0 for unknown."""
    own = whole(_of_layer(config, number).get("head_dim"), _MOST_HEADS)
    window = kind is LayerKind.WINDOW
    key = own or _first(config, ("swa_head_dim",) if window else ("global_head_dim",))
    value = own or _first(config, ("swa_v_head_dim",) if window else ("global_head_dim",))
    key = key or _first(config, ("head_dim", "attention_head_dim", "kv_channels", "d_kv", "head_size"))
    if not key:
        width, heads = first_whole(config, WIDTH_KEYS), first_whole(config, HEAD_KEYS, _MOST_HEADS)
        key = width[0] // heads[0] if width and heads else 0
    return key, value or _first(config, ("v_head_dim",)) or key


def state_values(config: Mapping[str, Any]) -> int:
    """Return how many numbers a layer with a state keeps; 0 where the configuration does not say."""
    width = first_whole(config, WIDTH_KEYS)
    hidden = width[0] if width else 0
    kernel = (
        _first(config, ("mamba_d_conv", "conv_kernel", "linear_conv_kernel_dim", "conv1d_width", "d_conv")) or 4
    ) - 1
    if value_heads := _first(config, ("linear_num_value_heads",)):  # gated delta networks
        key, value = _first(config, ("linear_key_head_dim",)) or 128, _first(config, ("linear_value_head_dim",)) or 128
        key_heads = _first(config, ("linear_num_key_heads",)) or value_heads
        return value_heads * key * value + kernel * (2 * key_heads * key + value_heads * value)
    if linear := part(config, "linear_attn_config"):  # Kimi's
        heads, size = _first(linear, ("num_heads",)) or 32, _first(linear, ("head_dim",)) or 128
        return heads * size * size + kernel * 3 * heads * size
    if length := _first(config, ("conv_L_cache",)):  # short convolutions
        return hidden * (length - 1)
    if recurrent := _first(config, ("lru_width",)):
        return recurrent * (1 + kernel)
    state = _first(config, ("mamba_d_state", "ssm_state_size", "state_size", "d_state"))
    if state:
        heads = _first(config, ("mamba_n_heads", "mamba_num_heads", "n_mamba_heads"))
        size = _first(config, ("mamba_d_head", "mamba_head_dim", "mamba_headdim"))
        expanded = (_first(config, ("mamba_expand", "expand")) or 2) * hidden
        inner = _first(config, ("mamba_d_ssm", "intermediate_size" if "state_size" in config else "mamba_d_ssm"))
        inner = heads * size if heads and size else inner or expanded
        groups = _first(config, ("mamba_n_groups", "n_groups", "mamba_ngroups")) or (1 if heads else 0)
        return min(inner * state + kernel * (inner + 2 * groups * state), MOST_VALUES)
    heads_of_all = first_whole(config, HEAD_KEYS, _MOST_HEADS)
    size = head_sizes(config, 0, LayerKind.FULL)[0]
    return min(heads_of_all[0] * size * size, MOST_VALUES) if heads_of_all else 0


def _has_no_attention(config: Mapping[str, Any], number: int) -> bool:
    """Return whether a layer was replaced, or has no heads of its own."""
    block = _block(config, number)
    if block.get("no_op") is True or block.get("replace_with_linear") is True:
        return True
    return any(isinstance(config.get(key), list) for key in KV_KEYS)


def _block(config: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    blocks = config.get("block_configs")
    return part(blocks[number], "attention") if isinstance(blocks, list) and number < len(blocks) else {}


def _of_layer(config: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    table = part(config, "per_layer_config")
    return part(table, f"{number:02}") or part(table, str(number))


def _first(config: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    found = first_whole(config, keys, MOST_VALUES)
    return found[0] if found else 0
