"""The size of a model as the Hub's list shows it: the weights, and the memory to load them.

One rule of thumb for millions of models: nominal parameters at two bytes, or at what a quantised model takes. It counts
neither cache nor overhead; that is the estimate of one model's requirements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.estimates.computed import computed_count
from weighbridge.domain.estimates.counts import WeightCount, count_weights
from weighbridge.domain.estimates.name_sizes import size_in_name
from weighbridge.domain.estimates.plausible import whole
from weighbridge.domain.estimates.quantisation import (
    GGUF_BITS,
    Quantisation,
    quantisation_in_config,
    quantisation_in_words,
)
from weighbridge.domain.estimates.shown import SMALLEST, nominal, whole_gigabytes

#: Bytes of one weight that is not quantised: engines load 16 bits, whatever the file has.
_LOADED = 2
#: A model counts as quantised where its weights take fewer bytes each, on the average.
_QUANTISED = 1.9
#: The quantisation that is taken where a repository in GGUF has several (domain.gguf_names).
_USUAL_GGUF = GGUF_BITS["Q4_K_M"]
#: Tags of what is no model by itself: it needs the memory of the one that it is added to.
_ADDED = frozenset({"lora", "peft", "adapter", "adapters", "adapter-transformers"})
_MOST_TAGS = 1_000


@dataclass(frozen=True, slots=True)
class ListedSize:
    """What a list shows of a model's size.

    Attributes:
        parameters: how many weights it has, or None.
        parameters_from: what said so: safetensors, gguf, config or name; empty for none.
        weights_size: bytes of its weights as they are stored, or None.
        memory_size: bytes of memory that its line shows, a whole number of decimal gigabytes, or None.
    """

    parameters: int | None = None
    parameters_from: str = ""
    weights_size: int | None = None
    memory_size: int | None = None


def listed_size(
    name: str,
    safetensors: Mapping[str, Any] | None = None,
    gguf: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
) -> ListedSize:
    """Return a model's size from what the Hub's list has; never raises, whatever that is.

    Args:
        name: `organisation/name`.
        safetensors: the list's `safetensors`: elements by type, and their total.
        gguf: the list's `gguf`: total, architecture, context length.
        config: its `config`, or a whole config.json.
        tags: its tags.
    """
    known = [tag for tag in list(tags)[:_MOST_TAGS] if isinstance(tag, str)]
    stated = size_in_name(name)
    quantised = quantisation_in_config(config) or quantisation_in_words(name, known)
    computed = computed_count(config)
    count = count_weights(safetensors, quantised, computed.total if computed else stated.total)
    if count is not None:
        return _sized(count, "safetensors", known, quantised)
    if isinstance(gguf, Mapping) and (total := whole(gguf.get("total"))):
        bits = _bits(quantised, _USUAL_GGUF)
        return _sized(WeightCount(total, math.ceil(total * bits / 8), packed=True), "gguf", known, quantised)
    if computed:
        bits = _bits(quantised, 8 * _LOADED)
        size = math.ceil(computed.total * bits / 8)
        return _sized(WeightCount(computed.total, size), "config", known, quantised)
    if stated.total:
        bits = _bits(quantised, _USUAL_GGUF if "gguf" in known else 8 * _LOADED)
        return _sized(WeightCount(stated.total, math.ceil(stated.total * bits / 8)), "name", known, quantised)
    return ListedSize()


def _bits(quantised: Quantisation | None, usual: float) -> float:
    return quantised.average if quantised else usual


def _sized(count: WeightCount, source: str, tags: Sequence[str], quantised: Quantisation | None) -> ListedSize:
    size = count.size
    if size is None and quantised is not None:
        size = math.ceil(count.parameters * quantised.average / 8)
    if not _ADDED.isdisjoint(tags) or any(tag.startswith("base_model:adapter:") for tag in tags):
        return ListedSize(count.parameters, source, size, None)
    shown = nominal(count.parameters)
    loaded = shown * _LOADED
    if size is not None and size < _QUANTISED * count.parameters:
        loaded = math.ceil(size * shown / count.parameters)
    if size is None:
        size = count.parameters * _LOADED
    return ListedSize(count.parameters, source, size, max(whole_gigabytes(loaded), SMALLEST))
