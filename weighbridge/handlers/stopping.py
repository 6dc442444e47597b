"""Where answers end besides the model's own end: stop strings in the text of the last tokens, and cancelling.

Not here: generating (generation), and the answers of a batch (batching).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import StoppingCriteria

from weighbridge.handlers.request import stop_strings


class StopStrings:
    """Finds stop strings in the last tokens of an answer.

    transformers' own criterion splits tokens and fails on some vocabularies; comparing the text works for all.

    Args:
        tokenizer: that of the model.
        stop: the strings.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self._tokenizer, self._stop = tokenizer, stop_strings(stop)
        # A token may be less than a character: a stop string of n bytes has at most n tokens, and one may begin it.
        self._reach = max((len(word.encode()) for word in self._stop), default=0) + 1

    def found(self, tokens: Sequence[int] | torch.Tensor) -> bool:
        """Return whether the last tokens contain one."""
        if not self._stop:
            return False
        last = tokens[-self._reach :]
        texts = [self._tokenizer.decode(last, skip_special_tokens=skipped) for skipped in (True, False)]
        return any(word in text for text in texts for word in self._stop)


class Ending(StoppingCriteria):  # type: ignore[misc]
    """Ends all answers when cancelled, and each one whose last tokens contain a stop string.

    Args:
        start: the number of tokens of the prompts.
        stop: the stop strings.
        event: ends all answers.
        look: called with the first answer's tokens so far, after each of them.
    """

    def __init__(
        self,
        start: int,
        stop: StopStrings,
        event: threading.Event | None,
        look: Callable[[list[int]], None] | None,
    ) -> None:
        self._start, self._stop, self._event, self._look = start, stop, event, look
        #: The number of tokens of each ended answer.
        self.lengths: dict[int, int] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Return which answers have ended."""
        if self._look:
            self._look(input_ids[0, self._start :].tolist())
        cancelled = self._event is not None and self._event.is_set()
        done = [cancelled or self._stop.found(row) for row in input_ids[:, self._start :]]
        for row, stopped in enumerate(done):
            if stopped:
                self.lengths.setdefault(row, input_ids.shape[1] - self._start)
        return torch.tensor(done, device=input_ids.device, dtype=torch.bool)
