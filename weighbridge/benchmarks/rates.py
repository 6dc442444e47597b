"""`embedding_rate`, `rerank_rate` and `speech_rate`: how much text or sound a model takes in a second."""

from __future__ import annotations

import hashlib
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from weighbridge.benchmarks.hardware import load_per_core
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.latency import noise
from weighbridge.benchmarks.prompts import random_messages
from weighbridge.benchmarks.statistics import mean, variation
from weighbridge.errors import BenchmarkFailed, Cancelled
from weighbridge.handlers.interface import Handler

#: Calls that are timed when nobody says, and what each holds.
CALLS = 10
SENTENCES = 32


class EmbeddingRate:
    """`embedding_rate`: sentences a second, `SENTENCES` of `prompt_tokens` words each a call."""

    name: ClassVar[str] = "embedding_rate"
    definition: ClassVar[str] = "embedding_rate/1"
    capability: ClassVar[str] = "text-embedding"

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure. Raises HandlerError, OutOfMemory, Cancelled."""
        embed: Callable[[list[str]], Any] = getattr(handler, "embed")  # noqa: B009 (one of several protocols)
        return _rate(lambda seed: embed(_texts(settings, seed)), settings, cancel_event, "sentences_per_second")


class RerankRate:
    """`rerank_rate`: documents a second, `SENTENCES` of `prompt_tokens` words each a call."""

    name: ClassVar[str] = "rerank_rate"
    definition: ClassVar[str] = "rerank_rate/1"
    capability: ClassVar[str] = "rerank"

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure. Raises HandlerError, OutOfMemory, Cancelled."""
        rerank: Callable[[str, list[str]], Any] = getattr(handler, "rerank")  # noqa: B009
        ask = lambda seed: rerank("what is said of the weather", _texts(settings, seed))  # noqa: E731
        return _rate(ask, settings, cancel_event, "documents_per_second")


class SpeechRate:
    """`speech_rate`: the real-time factor, seconds of work for a second of sound; below 1 it keeps up.

    The sound is the WAV file of `data["speech"]`: there is no standard one that may be shipped. What measures all that
    is new leaves this out where none is named.
    """

    name: ClassVar[str] = "speech_rate"
    definition: ClassVar[str] = "speech_rate/1"
    capability: ClassVar[str] = "audio-transcription"

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure. Raises BenchmarkFailed, HandlerError, OutOfMemory, Cancelled."""
        path = Path(settings.data.get("speech", ""))
        duration_s = _duration_s(path)
        transcribe: Callable[..., Any] = getattr(handler, "transcribe")  # noqa: B009
        options = {"language": None, "prompt": None, "temperature": 0.0, "task": "transcribe"}
        load, factors = load_per_core(), []
        for number in range(-1, settings.n or CALLS):
            if cancel_event.is_set():
                raise Cancelled("The benchmark was cancelled.")
            start = time.perf_counter()
            transcribe(str(path), timestamp_granularity=None, cancel_event=cancel_event, **options)
            if number >= 0:
                factors.append((time.perf_counter() - start) / duration_s)
        found = mean("real_time_factor", factors, "1", "lower")
        chosen = {"n": len(factors), "sound": _digest(path), "sound_s": round(duration_s, 3)}
        return Measured((found,), chosen, {"real_time_factor": factors}, noise(load, variation(factors)))


def _texts(settings: BenchmarkSettings, seed: int) -> list[str]:
    first = settings.seed + seed * SENTENCES
    return [random_messages(settings.prompt_tokens, first + number)[0]["content"] for number in range(SENTENCES)]


def _rate(ask: Callable[[int], Any], settings: BenchmarkSettings, cancel_event: threading.Event, name: str) -> Measured:
    load, rates = load_per_core(), []
    for number in range(-1, settings.n or CALLS):
        if cancel_event.is_set():
            raise Cancelled("The benchmark was cancelled.")
        start = time.perf_counter()
        ask(number + 1)
        if number >= 0:
            rates.append(SENTENCES / (time.perf_counter() - start))
    chosen = {"n": len(rates), "words": settings.prompt_tokens, "texts_per_call": SENTENCES, "seed": settings.seed}
    return Measured((mean(name, rates, "1/s"),), chosen, {name: rates}, noise(load, variation(rates)))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _duration_s(path: Path) -> float:
    try:
        with wave.open(str(path), "rb") as sound:
            return sound.getnframes() / sound.getframerate()
    except (OSError, wave.Error, EOFError, ZeroDivisionError) as error:
        raise BenchmarkFailed(
            f"“{path}” is no WAV file of speech: {error}.",
            "Name one with --data speech=FILE.wav, or for all runs in WEIGHBRIDGE_BENCHMARK_DATA.",
        ) from error
