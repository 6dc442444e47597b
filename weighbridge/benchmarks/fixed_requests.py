"""Requests of a fixed length to a chat handler, for the measurement of latency, throughput and memory.

A local model gets random tokens and answers with exactly the requested number; one elsewhere, or of a handler that only
answers messages, gets random words and may end early. Not here: the prompts (prompts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.prompts import random_messages, random_tokens
from weighbridge.errors import HandlerError

#: Sends one request with a seed, calls back for each token or piece, and returns the tokens of the answer; None where
#: the service does not count them.
Request = Callable[[int, Callable[[], None]], "int | None"]


@dataclass(frozen=True)
class Asking:
    """The way to send requests to a handler.

    Attributes:
        ask: sends a request.
        moment: the timed unit: `token`, or `piece of a stream`, which may have several tokens.
    """

    ask: Request
    moment: str


def asking(handler: Any, settings: BenchmarkSettings) -> Asking:
    """Return the way to send a handler requests whose tokens can be timed.

    Raises:
        HandlerError: it does not report its tokens.
    """
    if hasattr(handler, "complete"):
        return Asking(_complete(handler, settings), "token")
    if hasattr(handler, "stream"):
        return Asking(_stream(handler, settings), "piece of a stream")
    raise HandlerError(
        f"{handler.name} does not report each token when it is generated.",
        "A handler of your own needs `complete` or `stream` as weighbridge.handlers.chat and .upstream have them.",
    )


def answer(handler: Any, settings: BenchmarkSettings, seed: int) -> str:
    """Send one request in the first way that a handler supports, and return the kind of its prompt."""
    if hasattr(handler, "complete"):
        _complete(handler, settings)(seed, lambda: None)
        return "random tokens"
    handler.generate(random_messages(settings.prompt_tokens, seed), **_options(settings))
    return "random words"


def ended_early(tokens: list[int | None], wanted: int) -> str:
    """Return a sentence on how many answers had fewer tokens than requested, or nothing."""
    short = sum(found is not None and found < wanted for found in tokens)
    return f"{short:,} of {len(tokens):,} answers ended before {wanted:,} tokens" if short else ""


def _complete(handler: Any, settings: BenchmarkSettings) -> Request:
    length = settings.output_tokens

    def ask(seed: int, on_token: Callable[[], None]) -> int:
        prompt = random_tokens(handler, settings.prompt_tokens, seed)
        handler.complete([prompt], on_token=on_token, max_new_tokens=length, min_new_tokens=length)
        return length

    return ask


def _stream(handler: Any, settings: BenchmarkSettings) -> Request:
    def ask(seed: int, on_token: Callable[[], None]) -> int | None:
        messages = random_messages(settings.prompt_tokens, seed)
        generation = handler.stream(messages, on_token=on_token, **_options(settings))
        return getattr(generation, "completion_tokens", None) or None

    return ask


def _options(settings: BenchmarkSettings) -> dict[str, Any]:
    return {"max_new_tokens": settings.output_tokens, "temperature": 0.0, "top_p": 1.0}
