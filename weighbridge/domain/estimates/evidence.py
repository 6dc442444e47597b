"""What is known of a model before it is here, and the weights that follow from it, with a range and its source.

The order of trust is that of who counted: headers, GGUF, the configuration, the name. Not here: the cache and what is
needed in all (requirements).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weighbridge.domain.estimates.computed import computed_count
from weighbridge.domain.estimates.counts import count_weights
from weighbridge.domain.estimates.name_sizes import size_in_name
from weighbridge.domain.estimates.plausible import LARGEST, text, whole
from weighbridge.domain.estimates.quantisation import (
    GGUF_BITS,
    Quantisation,
    quantisation_in_config,
    quantisation_in_words,
)

#: Bits of one weight by the name that torch has for its type.
_TORCH_BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "float64": 64, "float8_e4m3fn": 8, "float8_e5m2": 8}
#: How far a count that a configuration gives may be from the truth, and one that a name gives (docs/estimates.md).
_COMPUTED_ERROR, _NAMED_ERROR = (0.03, 0.03), (0.05, 0.35)
_COUNTED = (0.0, 0.0)
#: How far the bits of a quantisation of GGUF may be from those of its name; in a small model, embeddings with more
#: bits are a large part.
_BITS_ERROR, _BITS_ERROR_OF_SMALL = 0.08, 0.3
_SMALL = 1_000_000_000
#: What scales and layers in 16 bits add to the bits of any other quantisation: least in a large model, in which
#: embeddings are a small part.
_BESIDE = (0.3, 2.0)
#: Where nothing says how a repository in GGUF is quantised: from the usual smallest to the largest.
_GGUF_RANGE = (GGUF_BITS["Q4_K_S"], GGUF_BITS["Q8_0"])


@dataclass(frozen=True)
class Evidence:
    """What is known of a model; anything may be missing or malformed.

    Attributes:
        name: `organisation/name`.
        safetensors: elements by type and their total, as the Hub lists them.
        gguf: total, architecture and context length of a GGUF, as the Hub lists them.
        config: its config.json, whole or a part.
        tags: its tags.
        metadata: the metadata of its GGUF file.
        size: bytes of the files of its weights.
        size_from: which files those are.
    """

    name: str = ""
    safetensors: Mapping[str, Any] | None = None
    gguf: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] | None = None
    size: int | None = None
    size_from: str = ""


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of the memory that a model needs.

    Attributes:
        name: `weights`, `cache` or `overhead`.
        low: bytes that it needs at least.
        high: bytes that it needs at most.
        source: what that was told from.
    """

    name: str
    low: int
    high: int
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"name": self.name, "low": self.low, "high": self.high, "from": self.source}


@dataclass(frozen=True, slots=True)
class WeightsEstimate:
    """A model's weights.

    Attributes:
        parameters: how many, or None.
        active: how many one token uses, where that is fewer; else None.
        source: what said how many: safetensors, gguf, config or name; empty for none.
        portion: the memory that they take, or None.
    """

    parameters: int | None = None
    active: int | None = None
    source: str = ""
    portion: Portion | None = field(default=None)


def weights_estimate(evidence: Evidence) -> WeightsEstimate:
    """Return a model's weights by the best evidence that there is."""
    computed, stated = computed_count(evidence.config), size_in_name(evidence.name)
    tags = [tag for tag in list(evidence.tags)[:1_000] if isinstance(tag, str)]
    quantised = quantisation_in_config(evidence.config) or quantisation_in_words(evidence.name, tags)
    expected = computed.total if computed else stated.total
    parameters, source, portion = None, "", None
    if count := count_weights(evidence.safetensors, quantised, expected):
        parameters, source = count.parameters, "safetensors"
        portion = _loaded(count.parameters, count.size, quantised, evidence.config)
    elif isinstance(evidence.gguf, Mapping) and (total := whole(evidence.gguf.get("total"))):
        parameters, source = total, "gguf"
        portion = _quantised_gguf(total, quantised, _COUNTED, "gguf: number of weights")
    elif computed and computed.total:
        parameters, source = computed.total, "config"
        portion = _by_bits(parameters, quantised, evidence.config, _COMPUTED_ERROR, "config: its network")
    elif stated.total:
        parameters, source = stated.total, "name"
        portion = _named(stated.total, quantised, evidence.config, "gguf" in tags)
    if size := whole(evidence.size, LARGEST):
        portion = Portion("weights", size, size, f"{evidence.size_from or 'files'}: size on disk")
    active = stated.active
    if computed and parameters and computed.active < computed.total:
        active = round(parameters * computed.active / computed.total)
    return WeightsEstimate(parameters, active if active != parameters else None, source, portion)


def _loaded(parameters: int, size: int | None, quantised: Quantisation | None, config: object) -> Portion:
    """Return the memory of weights whose headers are known: 32 bits may be loaded as 16."""
    if size is None:
        return _by_bits(parameters, quantised, config, _COUNTED, "safetensors: number of weights")
    low = min(size, 2 * parameters) if size > 2.5 * parameters else size
    return Portion("weights", low, size, "safetensors: number and type of weights")


def _quantised_gguf(
    parameters: int, quantised: Quantisation | None, error: tuple[float, float], source: str
) -> Portion:
    if quantised:
        return _by_method(parameters, quantised, error, source)
    return _portion(parameters, *_GGUF_RANGE, error, f"{source}; usual quantisations")


def _by_method(parameters: int, quantised: Quantisation, error: tuple[float, float], source: str) -> Portion:
    if quantised.average == quantised.bits:
        more = _BITS_ERROR_OF_SMALL if parameters < _SMALL else _BITS_ERROR
        low, high = quantised.average * (1 - _BITS_ERROR), quantised.average * (1 + more)
    else:
        low, high = quantised.bits + _BESIDE[0], quantised.bits + _BESIDE[1]
    return _portion(parameters, low, high, error, f"{source}; {quantised.method} by its {quantised.source}")


def _by_bits(
    parameters: int, quantised: Quantisation | None, config: object, error: tuple[float, float], source: str
) -> Portion:
    if quantised:
        return _by_method(parameters, quantised, error, source)
    said = config if isinstance(config, Mapping) else {}
    bits = _TORCH_BITS.get(text(said.get("dtype")) or text(said.get("torch_dtype")))
    words = "16 bits" if bits is None else f"{bits} bits by its config"
    return _portion(parameters, min(bits or 16, 16), bits or 16, error, f"{source}; {words}")


def _named(parameters: int, quantised: Quantisation | None, config: object, is_gguf: bool) -> Portion:
    if is_gguf:
        return _quantised_gguf(parameters, quantised, _NAMED_ERROR, "name")
    return _by_bits(parameters, quantised, config, _NAMED_ERROR, "name")


def _portion(parameters: int, low: float, high: float, error: tuple[float, float], source: str) -> Portion:
    least, most = parameters * low / 8 * (1 - error[0]), parameters * high / 8 * (1 + error[1])
    return Portion("weights", math.floor(least), math.ceil(most), source)
