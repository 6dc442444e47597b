"""Numbers of weights by type, as safetensors' headers or the Hub's list have them, made true where they are packed.

A quantisation packs several weights into one element. The Hub has counted such models in three ways: elements,
weights, and elements with a true total beside them (hub-docs#2704); which one it was shows in what else is known of
the model. Not here: counting from a file's header (content.cards.weights).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.estimates.plausible import LARGEST, whole
from weighbridge.domain.estimates.quantisation import CONTAINERS, TYPE_BITS, Quantisation

#: A count is of weights, not of packed elements, where so much of it is in containers: what is not packed (scales,
#: norms, embeddings) would be a larger part of it otherwise.
_UNPACKED_SHARE = 0.9
#: Containers below this share are a model's own integers: position ids, masks.
_PACKED_SHARE = 0.1
#: A stated total that exceeds the sum by this factor is the true one.
_TOTAL_EXCESS = 1.2
_MOST_TYPES = 64


@dataclass(frozen=True, slots=True)
class WeightCount:
    """How many weights there are and what they take.

    Attributes:
        parameters: weights, unpacked.
        size: bytes, or None where the types are unknown.
        packed: whether several weights share an element.
    """

    parameters: int
    size: int | None
    packed: bool = False


def stated_counts(parameters: object) -> dict[str, int]:
    """Return the plausible ones of a table of numbers by type."""
    if not isinstance(parameters, Mapping):
        return {}
    entries = itertools.islice(parameters.items(), _MOST_TYPES)
    return {kind: number for kind, value in entries if isinstance(kind, str) and (number := whole(value))}


def count_weights(
    said: Mapping[str, Any] | None, quantised: Quantisation | None, expected: int | None
) -> WeightCount | None:
    """Return the weights that a `safetensors` entry of the Hub's tells, or None.

    Args:
        said: `{"parameters": {"BF16": 8030261248}, "total": 8030261248}`, or what stands there.
        quantised: how the model says that it is quantised.
        expected: about how many there should be, by its configuration or its name; decides what was counted.
    """
    if not isinstance(said, Mapping):
        return None
    counts, total = stated_counts(said.get("parameters")), whole(said.get("total"))
    if not counts:
        return WeightCount(total, None) if total else None
    elements = sum(counts.values())
    held = {kind: count for kind, count in counts.items() if kind in CONTAINERS}
    packed = quantised is not None and quantised.bits <= 8 and sum(held.values()) >= _PACKED_SHARE * elements
    packed = packed or ("U32" in held and held["U32"] >= _PACKED_SHARE * elements)  # MLX, which has no other use of it
    if elements > LARGEST:
        return None
    if not packed:
        return WeightCount(elements, _size(counts))
    bits = quantised.bits if quantised else 4
    unpacked = sum(round(count * TYPE_BITS[kind] / bits) if kind in held else count for kind, count in counts.items())
    if total and total > _TOTAL_EXCESS * elements:
        return WeightCount(total, _size(counts), packed=True)
    if _counts_weights(elements, unpacked, sum(held.values()), expected):
        return WeightCount(elements, _size(counts, dict.fromkeys(held, bits)), packed=True)
    return WeightCount(min(unpacked, LARGEST), _size(counts), packed=True)


def _counts_weights(elements: int, unpacked: int, held: int, expected: int | None) -> bool:
    """Return whether a count is of weights already, not of the elements into which they are packed."""
    if expected:
        return abs(math.log(elements / expected)) <= abs(math.log(unpacked / expected))
    return held >= _UNPACKED_SHARE * elements


def _size(counts: Mapping[str, int], bits: Mapping[str, float] | None = None) -> int:
    """Return the bytes of elements; a type that is not known counts as 16 bits."""
    widths = {**TYPE_BITS, **(bits or {})}
    return math.ceil(sum(count * widths.get(kind, 16) for kind, count in counts.items()) / 8)
