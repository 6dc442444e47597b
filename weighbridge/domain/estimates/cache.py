"""Bytes that a model's cache takes for a number of tokens, in the engines that differ.

llama.cpp and MLX keep no more than the window of a layer that has one. vLLM gives every layer of attention whole pages
of the same size (hf-mem#60). Some keep the heads of latent attention, not what they are made from: older Transformers,
MLX for DeepSeek V2 (mlxcel#172). Not here: what a network is (network).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from weighbridge.domain.estimates.network import Network

#: Bits of one cached value by the name of its type, blocks' scales included.
CACHE_BITS = {
    "f32": Fraction(32),
    "f16": Fraction(16),
    "bf16": Fraction(16),
    "fp8": Fraction(8),
    "q8_0": Fraction(17, 2),
    "q5_1": Fraction(6),
    "q5_0": Fraction(11, 2),
    "q4_1": Fraction(5),
    "q4_0": Fraction(9, 2),
    "nvfp4": Fraction(9, 2),
}
#: Bits of one number of a state: engines keep 16 or 32.
_STATE_BITS = (16, 32)
#: The longest context that is looked for, where a model states none.
MOST_TOKENS = 2**27


@dataclass(frozen=True, slots=True)
class CacheSize:
    """Bytes of a cache.

    Attributes:
        low: in an engine that honours windows and keeps states in 16 bits.
        high: in one that reserves whole pages for every layer of attention and keeps states in 32 bits.
        unpacked: in an engine that keeps the heads of latent attention; None for any other kind.
    """

    low: int
    high: int
    unpacked: int | None = None


def cache_size(network: Network, tokens: int, sequences: int = 1, kind: str = "f16") -> CacheSize:
    """Return the bytes of the cache of some sequences of that many tokens each.

    Args:
        network: what is cached.
        tokens: of one sequence; less than one counts as none.
        sequences: how many at once.
        kind: a name of `CACHE_BITS`; an unknown one counts as 16 bits.
    """
    bits = CACHE_BITS.get(kind.lower(), CACHE_BITS["f16"])
    length, count = max(tokens, 0), max(sequences, 0)
    attention = [(layer, number) for layer, number in network.groups if layer.values]
    page = max((layer.values for layer, _ in attention), default=0)
    honoured = sum(layer.values * number * min(length, layer.window or length) for layer, number in attention)
    paged = page * sum(number for _, number in attention) * length
    unpacked = sum((layer.unpacked or layer.values) * number * length for layer, number in attention)
    state = sum(layer.state * number for layer, number in network.groups) if length else 0

    def size(values: int, state_bits: int) -> int:
        return int(-(-(values * bits + state * state_bits) * count // 8))

    latent = any(layer.unpacked for layer, _ in attention)
    return CacheSize(
        size(honoured, _STATE_BITS[0]),
        size(max(paged, honoured), _STATE_BITS[1]),
        size(unpacked, _STATE_BITS[1]) if latent else None,
    )


def most_tokens(size: Callable[[int], int], room: int, limit: int | None) -> int:
    """Return how many tokens fit: the largest number whose size, which grows with it, is no more than the room.

    Args:
        size: bytes for a number of tokens.
        room: bytes that are free.
        limit: the longest context, or None.
    """
    low, high = 0, min(limit or MOST_TOKENS, MOST_TOKENS)
    if size(1) > room:
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(middle) <= room else (low, middle - 1)
    return low
