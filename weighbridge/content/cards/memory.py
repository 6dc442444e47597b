"""The fields of a card that say how much memory a model needs, from the bytes of its weights and its own numbers.

Not here: the arithmetic (domain.estimates.requirements).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weighbridge.content.cards.weights import Weights, gigabytes
from weighbridge.domain.card import Field
from weighbridge.domain.estimates.evidence import Evidence
from weighbridge.domain.estimates.requirements import Requirements, estimate


def memory_fields(weights: Weights, config: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    """Yield `memory_size` and `requirements`; nothing for weights of no size.

    The size is that of weights and, where it is known, of a cache for the whole context in 16 bits, in an engine that
    keeps no more than a layer's window.
    """
    if not weights.size:
        return
    where = f"{weights.read_from}: size on disk"
    needed = estimate(_evidence(weights, config))
    largest = needed.needs[-1].portions if needed.context and needed.needs else ()
    cache = next((portion for portion in largest if portion.name == "cache"), None)
    if cache:
        place = weights.files[0] if weights.gguf and cache.source.startswith("gguf") else "config.json"
        where += f" and {place}: cache of 16 bits for the whole context"
    size = weights.size + (cache.low if cache else 0)
    yield "memory_size", Field(size, where)
    yield "requirements", Field(_requirements(weights, needed, size if cache and cache.low else None), where)


def _evidence(weights: Weights, config: Mapping[str, Any]) -> Evidence:
    metadata = None
    if weights.gguf:
        metadata = dict(weights.gguf.metadata)
        words = weights.gguf.lengths.get("tokenizer.ggml.tokens") or weights.gguf.embedding_rows
        metadata.setdefault(f"{metadata.get('general.architecture')}.vocab_size", words)
    counted = {"total": weights.count} if weights.count else None
    return Evidence("", counted, None, config, (), metadata, weights.size, weights.read_from)


def _requirements(weights: Weights, needed: Requirements, size: int | None) -> dict[str, Any]:
    needs: dict[str, Any] = {"min_gpu_memory_gb": gigabytes(weights.size)}
    if size:
        needs["full_context_gpu_memory_gb"] = gigabytes(size)
    if needed.weights.active:
        needs["active_parameters"] = needed.weights.active
    if needed.needs:
        needs["parts"] = [
            {
                "name": portion.name,
                "tokens": need.tokens,
                "low": portion.low,
                "high": portion.high,
                "from": portion.source,
            }
            for need in needed.needs
            for portion in need.portions
            if portion.name == "cache" or need is needed.needs[-1]
        ]
    needs["cards"] = [fit.to_json() for fit in needed.fits]
    return needs
