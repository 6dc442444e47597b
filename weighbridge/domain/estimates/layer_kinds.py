"""What kind each layer of a model is, by its config.json: attention, attention with a window, a state, or neither.

Every family has its own words for it. Not here: how large a layer's cache is (config_network).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from weighbridge.domain.estimates.plausible import first_whole, part, text, whole


class LayerKind(StrEnum):
    """What a layer keeps of what it has read."""

    FULL = "full"
    WINDOW = "window"
    STATE = "state"
    BOTH = "both"
    NONE = "none"


_WORDS = {
    **dict.fromkeys(
        ("full_attention", "attention", "global", "global_attention", "full", "*", "hybrid_attention"), "full"
    ),
    **dict.fromkeys(("sliding_attention", "chunked_attention", "local", "sliding", "local_attention"), "window"),
    **dict.fromkeys(("linear_attention", "mamba", "mamba2", "recurrent", "conv", "M", "lightning", "kda"), "state"),
    **dict.fromkeys(("mlp", "moe", "-", "E", "ffn", "none"), "none"),
    "hybrid": "both",
}
#: Keys with the window's length.
WINDOW_KEYS = ("sliding_window", "attention_chunk_size", "attention_window_size", "sliding_window_size", "window_size")
#: Families of which every second, or every sixth, layer looks back without a window, where nothing else says so.
_PATTERNS = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4, "gpt_oss": 2}
_MOST_INTERVAL = 10_000
#: Families whose layers all have attention and a state.
_BOTH = ("falcon_h1", "hymba")
_STATES_ONLY = ("mamba", "mamba2", "falcon_mamba", "rwkv", "rwkv5", "rwkv6", "rwkv7", "xlstm")


def layer_kinds(config: Mapping[str, Any], layers: int) -> list[LayerKind]:
    """Return the kind of each layer; all of them have attention to everything where nothing says otherwise."""
    family = text(config.get("model_type"))
    if family in _BOTH:
        return [LayerKind.BOTH] * layers
    if family in _STATES_ONLY:
        return [LayerKind.STATE] * layers
    for read in _READERS:
        kinds = read(config, layers)
        if kinds:
            return kinds
    return [LayerKind.FULL] * layers


def _listed(config: Mapping[str, Any], layers: int) -> list[LayerKind]:
    for key in ("layer_types", "layers_block_type", "hybrid_override_pattern", "layer_type_list"):
        words = config.get(key)
        if isinstance(words, (list, str)) and len(words) >= layers:
            return [_kind(word) for word in words[:layers]]
    return []


def _kind(word: object) -> LayerKind:
    return LayerKind(_WORDS.get(word, "full")) if isinstance(word, str) else LayerKind.FULL


def _repeated(config: Mapping[str, Any], layers: int) -> list[LayerKind]:
    words = config.get("block_types") or config.get("_block_types")
    if not isinstance(words, (list, tuple)) or not words:
        return []
    # RecurrentGemma's attention has a window, which nothing but its own code says.
    local = whole(config.get("attention_window_size"))
    kinds = [_kind(words[number % len(words)]) for number in range(layers)]
    return [LayerKind.WINDOW if local and kind is LayerKind.FULL else kind for kind in kinds]


def _flagged(config: Mapping[str, Any], layers: int) -> list[LayerKind]:
    """Read lists of 0 and 1: MiniMax's attention and linear attention, MiMo's windows."""
    for key, kinds in (
        ("attn_type_list", {1: LayerKind.FULL, 0: LayerKind.STATE}),
        ("hybrid_layer_pattern", {0: LayerKind.FULL, 1: LayerKind.WINDOW}),
    ):
        flags = config.get(key)
        if isinstance(flags, list) and len(flags) >= layers:
            return [
                kinds.get(flag, LayerKind.FULL) if isinstance(flag, int) else LayerKind.FULL for flag in flags[:layers]
            ]
    return []


def _chosen(config: Mapping[str, Any], layers: int) -> list[LayerKind]:
    """Read which layers have attention among those that have a state: by number, or every so many."""
    chosen = config.get("attn_layer_indices")
    first = 0
    if not isinstance(chosen, list):
        chosen, first = part(config, "linear_attn_config").get("full_attn_layers"), 1
    if not isinstance(chosen, list) and config.get("model_type") == "bamba":
        return [LayerKind.STATE] * layers
    if isinstance(chosen, list):
        numbers = {number - first for number in chosen[:layers] if isinstance(number, int)}
        return [LayerKind.FULL if number in numbers else LayerKind.STATE for number in range(layers)]
    if found := first_whole(config, ("full_attention_interval", "attn_layer_period"), _MOST_INTERVAL):
        interval, key = found
        offset = (
            whole(config.get("attn_layer_offset"), _MOST_INTERVAL) or 0 if key == "attn_layer_period" else interval - 1
        )
        return [LayerKind.FULL if number % interval == offset else LayerKind.STATE for number in range(layers)]
    return []


def _windowed(config: Mapping[str, Any], layers: int) -> list[LayerKind]:
    if not first_whole(config, WINDOW_KEYS) or config.get("use_sliding_window") is False:
        return []
    pattern = first_whole(config, ("sliding_window_pattern", "_sliding_window_pattern"), _MOST_INTERVAL)
    interval = pattern[0] if pattern else _PATTERNS.get(text(config.get("model_type")), 0)
    if interval:
        return [LayerKind.FULL if (number + 1) % interval == 0 else LayerKind.WINDOW for number in range(layers)]
    if config.get("use_sliding_window") is True and (first := whole(config.get("max_window_layers"))):
        return [LayerKind.WINDOW if number >= first else LayerKind.FULL for number in range(layers)]
    return [LayerKind.WINDOW] * layers


_READERS: tuple[Callable[[Mapping[str, Any], int], list[LayerKind]], ...] = (
    _listed,
    _repeated,
    _flagged,
    _chosen,
    _windowed,
)
