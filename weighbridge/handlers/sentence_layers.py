"""The layers between the states of a text's tokens and its vector: poolings, dense layers, normalizations.

Each layer reads and writes named values, as in sentence-transformers: `token_embeddings` (texts, tokens, size) and
`sentence_embedding` (texts, size). Poolings use the attention mask, so that padding has no effect. Not here: which
layers a model has (sentence), and the transformer itself (embedding).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

TOKENS, SENTENCE = "token_embeddings", "sentence_embedding"
#: Masks of tokens: all except padding, and those except the prompt's.
MASK, TEXT_MASK = "attention_mask", "text_mask"
#: The modes of pooling; several are joined in the order in which a model lists them.
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
Values = dict[str, torch.Tensor]


class Pooling(torch.nn.Module):  # type: ignore[misc]
    """Computes one vector for each text from the states of its tokens; that of a text without tokens is zero.

    Args:
        modes: some of `MODES`.
        include_prompt: whether the prompt's tokens count.
    """

    reads, writes = TOKENS, SENTENCE

    def __init__(self, modes: Sequence[str], include_prompt: bool = True) -> None:
        super().__init__()
        self.modes, self.include_prompt = tuple(modes), include_prompt

    def forward(self, values: Values) -> Values:
        """Return the values with the pooled one."""
        states, mask = values[TOKENS], values[MASK if self.include_prompt else TEXT_MASK]
        positions = values[MASK].cumsum(
            dim=1
        )  # Positions count from 1, and include the prompt even where it is not pooled.
        pooled = [_pool(states, mask, positions, mode) for mode in self.modes]
        return values | {SENTENCE: torch.cat(pooled, dim=-1)}


class Dense(torch.nn.Module):  # type: ignore[misc]
    """A linear layer with its activation, and the input added to it where there is a `residual`.

    Args:
        linear: the layer.
        activation: the function of its result.
        residual: the function of the input that is added, or None for no residual.
        reads: the name of the value to read.
        writes: the name of the value to write.
    """

    def __init__(
        self,
        linear: torch.nn.Linear,
        activation: torch.nn.Module,
        *,
        residual: torch.nn.Module | None = None,
        reads: str = SENTENCE,
        writes: str = SENTENCE,
    ) -> None:
        super().__init__()
        self.linear, self.activation, self.residual = linear, activation, residual
        self.reads, self.writes = reads, writes

    def forward(self, values: Values) -> Values:
        """Return the values with the projected one."""
        projected = self.activation(self.linear(values[self.reads]))
        if self.residual is not None:
            projected = projected + self.residual(values[self.reads])
        return values | {self.writes: projected}


class Normalize(torch.nn.Module):  # type: ignore[misc]
    """Scales vectors to length 1."""

    def __init__(self, reads: str = SENTENCE, writes: str = SENTENCE) -> None:
        super().__init__()
        self.reads, self.writes = reads, writes

    def forward(self, values: Values) -> Values:
        """Return the values with the normalized one."""
        return values | {self.writes: torch.nn.functional.normalize(values[self.reads], dim=-1)}


class LayerNorm(torch.nn.Module):  # type: ignore[misc]
    """A layer normalization of the text's vector."""

    reads = writes = SENTENCE

    def __init__(self, norm: torch.nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, values: Values) -> Values:
        """Return the values with the normalized one."""
        return values | {SENTENCE: self.norm(values[SENTENCE])}


Layer = Pooling | Dense | Normalize | LayerNorm


def text_mask(mask: torch.Tensor, prompt_length: int) -> torch.Tensor:
    """Return a mask without the first tokens of each text, those of its prompt."""
    return mask * (mask.cumsum(dim=1) > prompt_length).to(mask.dtype)


def _pool(states: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, mode: str) -> torch.Tensor:
    there = mask.unsqueeze(-1).to(states.dtype)
    if mode == "max":
        highest = states.masked_fill(there == 0, float("-inf")).max(dim=1).values
        return torch.where(there.any(dim=1), highest, torch.zeros_like(highest))
    if mode in ("cls", "lasttoken"):
        ordinal = mask.cumsum(dim=1)  # The first counted token has the number 1, the last one the number of all.
        wanted = torch.ones_like(ordinal[:, :1]) if mode == "cls" else mask.sum(dim=1, keepdim=True)
        chosen = ((ordinal == wanted) & (mask > 0)).unsqueeze(-1).to(states.dtype)
        return (states * chosen).sum(dim=1)
    weights = there * positions.unsqueeze(-1) if mode == "weightedmean" else there
    total = weights.sum(dim=1).clamp(min=1e-9)
    return (states * weights).sum(dim=1) / (total.sqrt() if mode == "mean_sqrt_len_tokens" else total)
