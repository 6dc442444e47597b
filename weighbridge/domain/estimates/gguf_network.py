"""A network as the metadata of a GGUF describe it, in the words of its architecture: `llama.attention.head_count_kv`.

Not here: reading a file's metadata (content.headers.gguf).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weighbridge.domain.estimates.network import MOST_LAYERS, MOST_VALUES, Network, NetworkLayer, grouped
from weighbridge.domain.estimates.plausible import whole

_MOST_HEADS = 65_536
#: Architectures that read a text at once and keep nothing.
ENCODERS = ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "t5encoder", "modern-bert", "clip")
#: Every how many layers one looks back without a window, which llama.cpp knows by the architecture.
_INTERVALS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "gpt-oss": 2, "llama4": 4, "exaone4": 4, "phi3": 1}
#: Architectures that have layers without a cache of their own, where the metadata do not say how many have one.
_FIRST_WITH_CACHE = {"gemma3n": 20}


def gguf_network(metadata: Mapping[str, Any]) -> Network | None:
    """Return the network that a GGUF's metadata describe, or None where they do not say enough."""
    family = metadata.get("general.architecture")
    if not isinstance(family, str) or family in ENCODERS or len(family) > 100:
        return None
    prefix = f"{family}."
    said = {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}
    count = whole(said.get("block_count"), MOST_LAYERS)
    if not count:
        return None
    layers = _layers(family, said, max(count - (whole(said.get("nextn_predict_layers"), count) or 0), 1))
    if layers is None:
        return None
    heads = _of_layer(said.get("attention.head_count"), 0)
    vocabulary = whole(said.get("vocab_size")) or 0
    return Network(grouped(layers), whole(said.get("context_length")), "gguf", heads or 0, vocabulary)


def _layers(family: str, said: Mapping[str, Any], count: int) -> list[NetworkLayer] | None:
    shared = whole(said.get("attention.shared_kv_layers"), count) or 0
    own = min(count - shared, _FIRST_WITH_CACHE.get(family, count)) if not shared else count - shared
    state = _state(said)
    interval = whole(said.get("full_attention_interval"), count)
    layers = []
    for number in range(count):
        recurrent = state and (interval is None or (number + 1) % interval != 0)
        heads = _kv_heads(said, number)
        if heads is None and not state:
            return None
        attention = bool(heads) and not (recurrent and interval) and number < max(own, 1)
        window = _window(family, said, number) if attention else None
        values, unpacked = _values(said, number, heads or 0, window is not None) if attention else (0, 0)
        if attention and not values:
            return None
        has_state = state if (recurrent if interval else state and not attention) else 0
        layers.append(NetworkLayer(values, window, has_state, unpacked))
    return layers


def _kv_heads(said: Mapping[str, Any], number: int) -> int | None:
    """Return a layer's heads of keys and values: 0 for none, None where nothing says so."""
    stated = said.get("attention.head_count_kv")
    if isinstance(stated, list):
        return (whole(stated[number], _MOST_HEADS) or 0) if number < len(stated) else 0
    found = whole(stated, _MOST_HEADS)
    if found or stated == 0:
        return found or 0
    return _of_layer(said.get("attention.head_count"), number)


def _values(said: Mapping[str, Any], number: int, heads: int, windowed: bool) -> tuple[int, int]:
    suffix = "_swa" if windowed and whole(said.get("attention.key_length_swa"), _MOST_HEADS) else ""
    key = whole(said.get(f"attention.key_length{suffix}"), _MOST_HEADS)
    value = whole(said.get(f"attention.value_length{suffix}"), _MOST_HEADS)
    width, all_heads = whole(said.get("embedding_length")), _of_layer(said.get("attention.head_count"), number)
    size = width // all_heads if width and all_heads else 0
    rank = whole(said.get("attention.kv_lora_rank"), _MOST_HEADS)
    rotated = whole(said.get("rope.dimension_count"), _MOST_HEADS)
    unpacked = heads * ((key or size) + (value or size))
    if rank and rotated:
        mla_key = whole(said.get("attention.key_length_mla"), _MOST_HEADS)
        mla_value = whole(said.get("attention.value_length_mla"), _MOST_HEADS)
        if mla_key or heads == 1:
            return rank + rotated, (all_heads or 1) * ((mla_key or 192) + (mla_value or 128))
    return (unpacked, 0) if unpacked <= MOST_VALUES else (0, 0)


def _window(family: str, said: Mapping[str, Any], number: int) -> int | None:
    """Return how many tokens a layer looks back, or None for all."""
    window = whole(said.get("attention.sliding_window"))
    if not window:
        return None
    pattern = said.get("attention.sliding_window_pattern")
    if isinstance(pattern, list) and pattern:
        return window if pattern[number % len(pattern)] in (True, 1) else None
    interval = whole(pattern, MOST_LAYERS) or _INTERVALS.get(family)
    if interval is None:
        return None  # llama.cpp gives a window only to architectures that it knows
    return None if (number + 1) % interval == 0 else window


def _state(said: Mapping[str, Any]) -> int:
    inner, size = whole(said.get("ssm.inner_size")), whole(said.get("ssm.state_size"))
    kernel = whole(said.get("ssm.conv_kernel"), 1024)
    if inner and size:
        groups = whole(said.get("ssm.group_count"), _MOST_HEADS) or 0
        return min(inner * size + ((kernel or 4) - 1) * (inner + 2 * groups * size), MOST_VALUES)
    width = whole(said.get("embedding_length"))
    if (length := whole(said.get("shortconv.l_cache"), 1024)) and width:
        return min(width * (length - 1), MOST_VALUES)
    if (head := whole(said.get("wkv.head_size"), _MOST_HEADS)) and width:
        return min(width * (head + 2), MOST_VALUES)
    heads = _of_layer(said.get("attention.head_count"), 0)
    if (size := whole(said.get("kda.head_dim"), _MOST_HEADS)) and heads:
        return min(heads * size * (size + 3 * ((kernel or 4) - 1)), MOST_VALUES)
    return 0


def _of_layer(stated: object, number: int) -> int | None:
    if isinstance(stated, list):
        stated = stated[number] if number < len(stated) else None
    return whole(stated, _MOST_HEADS)
