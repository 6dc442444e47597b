"""The order of documents by their scores."""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.handlers.interface import RerankResult


def ranked(scores: Sequence[float], documents: Sequence[str], top_k: int | None) -> list[RerankResult]:
    """Return the documents with the largest scores, the largest first; equal ones in their own order; all for None."""
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    return [RerankResult(index, scores[index], documents[index]) for index in order[:top_k]]
