"""The probability of each token of an answer, and the most likely others, in the form of OpenAI's `logprobs`.

They are the model's own, before temperature, penalties and other influences on the choice. Not here: choosing a token
(generation).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers.convert_slow_tokenizer import bytes_to_unicode

from weighbridge.handlers.interface import TokenLogprob
from weighbridge.handlers.text_stream import HALF

#: The logprob of zero probability, as JSON has no infinity.
_NEVER = -9999.0
#: How tokenizers write a byte that is not a character: by its number, or by a character of GPT-2's alphabet.
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_LETTERS = {letter: byte for byte, letter in bytes_to_unicode().items()}


class TokenLogprobs:
    """Records the logits of a model while it generates one answer.

    Args:
        top: how many of the most likely tokens are kept for each place.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._waiting: deque[torch.Tensor] = deque()
        self._found: list[tuple[float, list[tuple[int, float]]]] = []

    @contextmanager
    def listening(self, model: Any) -> Iterator[None]:
        """Record in the context, which has the model's turn."""

        def hear(_module: Any, _inputs: Any, outputs: Any) -> None:
            self._waiting.append(torch.log_softmax(outputs.logits[0, -1].float(), dim=-1))

        hook = model.register_forward_hook(hear)
        try:
            yield
        finally:
            hook.remove()

    def take(self, tokens: Sequence[int]) -> None:
        """Record the tokens that are chosen so far."""
        while len(self._found) < len(tokens) and self._waiting:
            values = self._waiting.popleft()
            likeliest = values.topk(min(self._top, len(values)))
            top = list(zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True))
            self._found.append((values[tokens[len(self._found)]].item(), top))

    def told(self, tokens: Sequence[int], tokenizer: Any) -> tuple[TokenLogprob, ...]:
        """Return the records of an answer's first tokens."""
        told = []
        for place, (token, (logprob, top)) in enumerate(zip(tokens, self._found, strict=False)):
            before = list(tokens[max(place - 1, 0) : place])
            others = tuple(_told(tokenizer, before, other, value) for other, value in top)
            told.append(_told(tokenizer, before, token, logprob, others))
        return tuple(told)


def _told(
    tokenizer: Any, before: list[int], token: int, logprob: float, top: tuple[TokenLogprob, ...] = ()
) -> TokenLogprob:
    """Return a token with its text, which depends on the token before it, unless one is an incomplete character."""
    whole, known = (str(tokenizer.decode(some, skip_special_tokens=False)) for some in ([*before, token], before))
    halves = HALF in whole + known or not whole.startswith(known)
    text = str(tokenizer.decode([token], skip_special_tokens=False)) if halves else whole[len(known) :]
    return TokenLogprob(text, max(logprob, _NEVER), _content(tokenizer, token, text), top)


def _content(tokenizer: Any, token: int, text: str) -> tuple[int, ...] | None:
    """Return a token's bytes, which may be less than a character; None where the tokenizer does not have them."""
    if HALF not in text:
        return tuple(text.encode())
    written = str(tokenizer.convert_ids_to_tokens(token))
    if (byte := _BYTE.fullmatch(written)) is not None:
        return (int(byte[1], 16),)
    return tuple(_LETTERS[letter] for letter in written) if _LETTERS.keys() >= set(written) else None
