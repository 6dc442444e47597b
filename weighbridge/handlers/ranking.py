"""The order of documents by their scores."""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.handlers.interface import RerankResult


def ranked(scores: Sequence[float], documents: Sequence[str], top_k: int | None) -> list[RerankResult]:
    """Return the `top_k` documents (all for None) by descending score; equal ones in their own order."""
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    return [RerankResult(index, scores[index], documents[index]) for index in order[:top_k]]
