"""Requests of a fixed length to a handler that chats: what latency, throughput and memory measure.

A model that is here gets random tokens and answers with exactly as many as asked for; one elsewhere, or of a handler
that only answers messages, gets random words and may end early. Not here: the prompts (prompts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.prompts import random_messages, random_tokens
from weighbridge.errors import HandlerError

#: Makes one request with a seed, calling back for each token or piece, and returns the tokens of the answer; None where
#: the service does not say.
Request = Callable[[int, Callable[[], None]], "int | None"]


@dataclass(frozen=True)
class Asking:
    """How a handler is asked.

    Attributes:
        ask: makes a request.
        moment: what is timed: `token`, or `piece of a stream`, which may hold several.
    """

    ask: Request
    moment: str


def asking(handler: Any, settings: BenchmarkSettings) -> Asking:
    """Return how a handler is asked for answers whose tokens can be timed.

    Raises:
        HandlerError: it does not say when a token is there.
    """
    if hasattr(handler, "complete"):
        return Asking(_complete(handler, settings), "token")
    if hasattr(handler, "stream"):
        return Asking(_stream(handler, settings), "piece of a stream")
    raise HandlerError(
        f"{handler.name} does not say when each token is there.",
        "A handler of your own needs `complete` or `stream` as weighbridge.handlers.chat and .upstream have them.",
    )


def answer(handler: Any, settings: BenchmarkSettings, seed: int) -> str:
    """Ask for one answer in the first way that a handler has, and return what it was asked with."""
    if hasattr(handler, "complete"):
        _complete(handler, settings)(seed, lambda: None)
        return "random tokens"
    handler.generate(random_messages(settings.prompt_tokens, seed), **_options(settings))
    return "random words"


def ended_early(tokens: list[int | None], wanted: int) -> str:
    """Return how many answers had fewer tokens than they were asked for, or empty."""
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
