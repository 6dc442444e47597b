"""Several answers in one pass of the model after another, each the same as if it were alone.

The prompts are padded on the left, with a mask and positions that leave the padding out. Each answer has its own end,
length, stop strings and penalties, and is passed on as soon as it has ended. What depends on the other rows despite
all that is computed alone: the answers of models that read padding, and at temperature 0 those in which two tokens are
almost equally likely, as the numbers of a batch differ in their last digits. Not here: which requests are in a batch
(worker_line), and one answer alone (generation).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
)

from weighbridge.errors import Cancelled, WeighbridgeError
from weighbridge.handlers.answering import Answering
from weighbridge.handlers.generation import Generation
from weighbridge.handlers.interface import ChatGeneration
from weighbridge.handlers.padding import reads_padding, shared_room
from weighbridge.handlers.penalties import Penalties
from weighbridge.handlers.request import Wanted
from weighbridge.handlers.stopping import StopStrings
from weighbridge.handlers.tool_calls import CallFormat

#: Called with a request's place, and its answer or error.
OnAnswer = Callable[[int, ChatGeneration | WeighbridgeError], None]
#: The most tokens of one batch, prompts and answers with their padding: its memory.
_BATCH_TOKENS = 32_768
#: The padding of a batch's prompts is at most as long as the prompts, or this many tokens.
_PADDING = 512
#: Settings of publishers that look at the tokens so far, with the values that turn them off: done for each row alone.
_LOOKING_BACK: dict[str, Any] = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
#: Settings of publishers that depend on a row's length or beginning in a way that a batch does not know.
_NOT_SHARED = frozenset({"bad_words_ids", "sequence_bias", "forced_bos_token_id", "forced_eos_token_id"})
#: Two logits are almost equal if their distance is less than this share of the larger one.
_ALMOST = 1e-4


@dataclass(frozen=True)
class Asked:
    """A prompt, and what is wanted of its answer.

    Attributes:
        prompt: its tokens.
        wanted: the options of the request.
        calls: the format of the model's tool calls, or None.
        cancel_event: ends the answer.
        on_text: called with each piece of the text, as soon as it belongs to the answer.
    """

    prompt: Sequence[int]
    wanted: Wanted
    calls: CallFormat | None = None
    cancel_event: threading.Event | None = None
    on_text: Callable[[str], None] | None = None

    @property
    def cancelled(self) -> bool:
        """Return whether its caller no longer wants it."""
        return self.cancel_event is not None and self.cancel_event.is_set()


class Batching:
    """Answers several prompts of one model.

    Args:
        generation: the model.
    """

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._room = shared_room(generation)
        self._pads: bool | None = None

    def answer(self, asked: Mapping[int, Asked], on_answer: OnAnswer) -> None:
        """Answer prompts whose sampling is the same; the longest prompts first.

        Args:
            asked: the prompts, by their places.
            on_answer: called once for each place.
        """
        for batch in self._batches(asked):
            shared = [place for place in batch if len(batch) > 1 and not asked[place].cancelled]
            if shared:
                self._together([self._row(place, asked[place]) for place in shared], on_answer)
            for place in batch:
                if place not in shared:
                    on_answer(*self._alone(place, asked[place]))

    def _batches(self, asked: Mapping[int, Asked]) -> Iterator[list[int]]:
        """Yield the places of each batch; a single one is computed alone."""
        batch: list[int] = []
        for place in sorted(asked, key=lambda place: -len(asked[place].prompt)):
            if batch and not self._fit([asked[one] for one in (*batch, place)]):
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    def _fit(self, asked: Sequence[Asked]) -> bool:
        """Return whether these prompts, the longest first, may be one batch."""
        width, most = len(asked[0].prompt), max(map(self._most, asked))
        filled = sum(len(one.prompt) for one in asked)
        padding = width * len(asked) - filled
        if width + most > self._room or (width + most) * len(asked) > _BATCH_TOKENS or padding > max(filled, _PADDING):
            return False
        if asked[0].wanted.temperature == 0 and self._generation.model.dtype != torch.float32:
            return False
        return self._shares

    @property
    def _shares(self) -> bool:
        """Whether an answer of this model can be the same in a batch."""
        if _NOT_SHARED.intersection(self._generation.settings.always):
            return False
        if self._pads is None:
            self._pads = not reads_padding(self._generation, _LOOKING_BACK)
        return self._pads

    def _most(self, asked: Asked) -> int:
        return min(asked.wanted.max_new_tokens, self._generation.context_length - len(asked.prompt))

    def _row(self, place: int, asked: Asked) -> _Row:
        words = [*asked.wanted.stop, *self._generation.settings.stop]
        return _Row(place, asked, self._generation, words, self._most(asked))

    def _together(self, rows: Sequence[_Row], on_answer: OnAnswer) -> None:
        """Compute rows in one batch, and alone what cannot be finished there."""
        width, wanted = max(len(row.asked.prompt) for row in rows), rows[0].asked.wanted
        processors: list[LogitsProcessor] = []
        if any(own := [self._processors(row.asked) for row in rows]):
            processors.append(_PerRow(own, [width - len(row.asked.prompt) for row in rows]))
        if wanted.temperature == 0:
            processors.append(_Doubts(rows))
        try:
            self._generation.run(
                [row.asked.prompt for row in rows],
                _RowEnding(rows, on_answer),
                cancel_event=_Every([row.asked.cancel_event for row in rows]),
                watch_layers=True,
                processors=processors,
                max_new_tokens=max(row.most for row in rows),
                **_LOOKING_BACK,
                **self._generation.sampling(wanted),
            )
            failure = None
        except WeighbridgeError as error:
            failure = error
        for row in rows:
            if not row.ended:
                on_answer(*self._finished(row, failure))

    def _finished(self, row: _Row, failure: WeighbridgeError | None) -> tuple[int, ChatGeneration | WeighbridgeError]:
        """Return the answer of a row that has not ended with its batch."""
        if isinstance(failure, Cancelled):
            return row.place, row.whole("cancelled") if row.tokens else failure
        if failure is not None and row.handed and row.asked.wanted.temperature > 0:
            return row.place, failure  # Its caller has the beginning of another answer.
        return self._alone(row.place, row.asked, row.handed)

    def _alone(self, place: int, asked: Asked, handed: int = 0) -> tuple[int, ChatGeneration | WeighbridgeError]:
        """Return the answer of a prompt, and pass on its text after the first `handed` characters."""
        on_text = _rest(asked.on_text, handed) if asked.on_text and handed else asked.on_text
        try:
            return place, self._generation.answer(
                asked.prompt, asked.wanted, calls=asked.calls, cancel_event=asked.cancel_event, on_text=on_text
            )
        except WeighbridgeError as error:
            return place, error

    def _processors(self, asked: Asked) -> list[LogitsProcessor]:
        """Return what changes a row's logits by the tokens that it has so far."""
        settings = {**_LOOKING_BACK, **self._generation.settings.always}
        processors: list[LogitsProcessor] = []
        if settings["repetition_penalty"] != 1:
            processors.append(RepetitionPenaltyLogitsProcessor(settings["repetition_penalty"]))
        if settings["no_repeat_ngram_size"]:
            processors.append(NoRepeatNGramLogitsProcessor(settings["no_repeat_ngram_size"]))
        if asked.wanted.presence_penalty or asked.wanted.frequency_penalty:
            start, wanted = len(asked.prompt), asked.wanted
            processors.append(Penalties(start, wanted.presence_penalty, wanted.frequency_penalty))
        return processors


class _Row:
    """One answer of a batch while it is generated."""

    def __init__(self, place: int, asked: Asked, generation: Generation, words: Sequence[str], most: int) -> None:
        self.place, self.asked, self.most = place, asked, most
        self.tokens: list[int] = []
        #: The characters of its text that were passed on.
        self.handed = 0
        #: Whether it was passed on; and whether its next token is in doubt, so that it is computed alone.
        self.ended = self.doubtful = False
        self._ends = generation.settings.ends
        self._stop = StopStrings(generation.tokenizer, words)
        on_text = self._hand_on if asked.on_text else None
        self._answering = Answering(generation.tokenizer, self._ends, words, asked.wanted, on_text, asked.calls)

    @property
    def done(self) -> bool:
        """Return whether the batch has no more tokens for it."""
        return self.ended or self.doubtful

    def add(self, token: int) -> str:
        """Add a token, and return why the answer ends with it; empty where it does not."""
        self.tokens.append(token)
        self._answering.look(self.tokens)
        if self.asked.cancelled:
            return "cancelled"
        if token in self._ends or self._stop.found(self.tokens):
            return "stop"
        return "length" if len(self.tokens) == self.most else ""

    def whole(self, reason: str) -> ChatGeneration:
        """Return the answer as far as it is, with this finish reason where the text itself has none."""
        self.ended = True
        return self._answering.whole(self.tokens, len(self.asked.prompt), reason)

    def _hand_on(self, piece: str) -> None:
        self.handed += len(piece)
        assert self.asked.on_text
        self.asked.on_text(piece)


class _RowEnding(StoppingCriteria):  # type: ignore[misc]
    """Ends each row by itself, and passes its answer on."""

    def __init__(self, rows: Sequence[_Row], on_answer: OnAnswer) -> None:
        self._rows, self._on_answer = rows, on_answer

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Return which rows have ended."""
        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            if not row.done and (reason := row.add(token)):
                self._on_answer(row.place, row.whole(reason))
        return torch.tensor([row.done for row in self._rows], device=input_ids.device, dtype=torch.bool)


class _PerRow(LogitsProcessor):  # type: ignore[misc]
    """Applies each row's processors to its tokens without the padding.

    Args:
        processors: those of each row.
        paddings: the length of each row's padding.
    """

    def __init__(self, processors: Sequence[Sequence[LogitsProcessor]], paddings: Sequence[int]) -> None:
        self._rows = list(zip(map(LogitsProcessorList, processors), paddings, strict=True))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits of each row after its processors."""
        found = [
            own(input_ids[place : place + 1, padding:], scores[place : place + 1])
            for place, (own, padding) in enumerate(self._rows)
        ]
        return torch.cat(found)


class _Doubts(LogitsProcessor):  # type: ignore[misc]
    """Marks the rows whose likeliest tokens are so close that their order may be another one in a batch."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits unchanged."""
        first, second = scores.topk(2).values.unbind(dim=-1)
        close = first - second < _ALMOST * (1 + first.abs())
        for row, doubtful in zip(self._rows, close.tolist(), strict=True):
            if not row.ended:
                row.doubtful = row.doubtful or doubtful
        return scores


class _Every(threading.Event):
    """An event that is set when all of some events are; never where one of them is missing."""

    def __init__(self, events: Sequence[threading.Event | None]) -> None:
        super().__init__()
        self._events = events

    def is_set(self) -> bool:
        return all(event is not None and event.is_set() for event in self._events)


def _rest(on_text: Callable[[str], None], handed: int) -> Callable[[str], None]:
    """Return a function that passes on a text that comes in pieces, without its first characters."""
    left = handed

    def pass_on(piece: str) -> None:
        nonlocal left
        piece, left = piece[left:], max(left - len(piece), 0)
        if piece:
            on_text(piece)

    return pass_on
