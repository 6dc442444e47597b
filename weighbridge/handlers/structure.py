"""Answers that are held to a JSON schema: a token may be chosen only if what follows can still have the schema's form.

The grammar is llguidance's, which says of each token whether it may come next. Not here: what a request's
`response_format` means (request), and generating (generation).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Collection
from typing import Any

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerFast

from weighbridge.domain.extras import install_command
from weighbridge.errors import HandlerError, InvalidRequest

#: Between the parts of an object there is one space, and no more: a model that writes white space never ends.
_WRITING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
#: The key of a schema that would change these and what is kept to; to JSON Schema it means nothing.
_GUIDANCE = "x-guidance"
_QUOTED = 300


class Structures:
    """The grammars of one model; safe for several threads.

    Args:
        name: of the model, for errors.
        tokenizer: its own.
        ends: tokens that end an answer.
    """

    def __init__(self, name: str, tokenizer: Any, ends: Collection[int]) -> None:
        self._name, self._tokenizer, self._ends = name, tokenizer, sorted(ends)
        self._read: Any = None

    @property
    def missing(self) -> str:
        """Why no answer can be held to a schema, as a sentence; empty where one can."""
        if not _installed():
            return f"{self._name} cannot be held to a form: the package llguidance is not installed."
        if not isinstance(self._tokenizer, PreTrainedTokenizerFast):
            return f"{self._name} cannot be held to a form: its tokenizer is not one of the library tokenizers."
        if not self._ends:
            return f"{self._name} cannot be held to a form: it has no token that ends an answer."
        return ""

    def holding(self, schema: str, start: int) -> LogitsProcessor:
        """Return what keeps an answer to a schema.

        Args:
            schema: a JSON schema.
            start: tokens of the prompt.

        Raises:
            InvalidRequest: the schema is none, or says what is not understood; or no answer can be held to one.
        """
        if self.missing:
            remedy = "Leave response_format out." if _installed() else install_command("benchmark")
            raise InvalidRequest(self.missing, remedy)
        import llguidance
        import llguidance.hf

        if self._read is None:
            self._read = llguidance.hf.from_tokenizer(self._tokenizer, eos_token=self._ends)
        known = {key: value for key, value in json.loads(schema).items() if key != _GUIDANCE}
        grammar = llguidance.LLMatcher.grammar_from_json_schema(known, defaults=_WRITING)
        if why := llguidance.LLMatcher.validate_grammar(grammar, self._read):
            raise InvalidRequest(
                f"The schema of response_format cannot be kept to: {why[:_QUOTED]!r}.", "Change it, or leave it out."
            )
        return _Holding(self._name, llguidance.LLMatcher(self._read, grammar), start)


def _installed() -> bool:
    return importlib.util.find_spec("llguidance") is not None


class _Holding(LogitsProcessor):  # type: ignore[misc]
    """Forbids every token that leads out of a grammar."""

    def __init__(self, name: str, matcher: Any, start: int) -> None:
        self._name, self._matcher, self._read = name, matcher, start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores with those of forbidden tokens at minus infinity. Raises HandlerError."""
        chosen, self._read = input_ids[0, self._read :].tolist(), input_ids.shape[1]
        if not self._matcher.consume_tokens(chosen):
            raise self._failed()
        bias = self._matcher.compute_logit_bias()
        if self._matcher.is_error() or not any(bias):
            raise self._failed()
        allowed = torch.zeros(scores.shape[-1], dtype=torch.bool)
        known = torch.frombuffer(bytearray(bias), dtype=torch.uint8)[: len(allowed)]
        allowed[: len(known)] = known > 0
        return scores.masked_fill(~allowed.to(scores.device), float("-inf"))

    def _failed(self) -> HandlerError:
        why = self._matcher.get_error() or "no token may come next"
        return HandlerError(f"{self._name} cannot keep to the schema: {why[:_QUOTED]!r}.", "Make the schema simpler.")
