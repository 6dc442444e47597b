"""Penalties for tokens that an answer already has, as OpenAI defines them."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor


class Penalties(LogitsProcessor):  # type: ignore[misc]
    """Lowers a token's logit by `presence` if the answer has it, and by `frequency` for each occurrence.

    Args:
        start: the number of tokens of the prompt, which do not count.
        presence: -2 to 2.
        frequency: -2 to 2.
    """

    def __init__(self, start: int, presence: float, frequency: float) -> None:
        self._start, self._presence, self._frequency = start, presence, frequency

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits after the penalties."""
        chosen = input_ids[:, self._start :]
        counts = torch.zeros_like(scores).scatter_add_(1, chosen, torch.ones_like(chosen, dtype=scores.dtype))
        return scores - self._frequency * counts - self._presence * (counts > 0)
