"""`embedding_rate`, `rerank_rate` and `speech_rate`: the text or sound that a model processes in a second.

A model that cuts long texts reads less than the whole input, which flatters its rate, so the result has the number of
cut texts.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.prompts import random_messages
from weighbridge.benchmarks.statistics import mean, rate, spread
from weighbridge.errors import BenchmarkFailed, Cancelled, HandlerError
from weighbridge.handlers.interface import Handler

#: The default number of timed calls, and the texts of each.
CALLS = 10
SENTENCES = 32
_QUERY = "what is said of the weather"
_MAX_SOUND_S = 7200.0


class EmbeddingRate:
    """`embedding_rate`: sentences a second, in calls of `SENTENCES` with `prompt_tokens` words each."""

    name: ClassVar[str] = "embedding_rate"
    definition: ClassVar[str] = "embedding_rate/2"
    capability: ClassVar[str] = "text-embedding"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure and return the result. Raises HandlerError, OutOfMemory, Cancelled."""
        embed: Callable[[list[str]], Any] = getattr(handler, "embed")  # noqa: B009 (one of several protocols)
        count_cut: Callable[[list[str]], int] = getattr(handler, "count_cut", lambda texts: 0)
        return _rate("sentences_per_second", embed, count_cut, settings, cancel_event)


class RerankRate:
    """`rerank_rate`: documents a second, in calls of `SENTENCES` with `prompt_tokens` words each."""

    name: ClassVar[str] = "rerank_rate"
    definition: ClassVar[str] = "rerank_rate/2"
    capability: ClassVar[str] = "rerank"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure and return the result. Raises HandlerError, OutOfMemory, Cancelled."""
        rerank: Callable[[str, list[str]], Any] = getattr(handler, "rerank")  # noqa: B009
        count_cut: Callable[[str, list[str]], int] = getattr(handler, "count_cut", lambda query, documents: 0)
        return _rate(
            "documents_per_second", partial(rerank, _QUERY), partial(count_cut, _QUERY), settings, cancel_event
        )


class SpeechRate:
    """`speech_rate`: the real-time factor, seconds of work for a second of sound; below 1 it is faster than speech.

    The sound is the file of `data["speech"]`, as no standard one may be shipped. A run of everything new leaves this
    benchmark out where no file is named.
    """

    name: ClassVar[str] = "speech_rate"
    definition: ClassVar[str] = "speech_rate/2"
    capability: ClassVar[str] = "audio-transcription"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure and return the result. Raises BenchmarkFailed, HandlerError, OutOfMemory, Cancelled."""
        path = _sound(settings)
        duration_s = _duration_s(path)
        transcribe: Callable[..., Any] = getattr(handler, "transcribe")  # noqa: B009
        options = {"language": None, "prompt": None, "temperature": 0.0, "task": "transcribe"}
        factors: list[float] = []
        for number in range(-1, settings.n or CALLS):
            if cancel_event.is_set():
                raise Cancelled("The benchmark was cancelled.")
            start = time.perf_counter()
            transcribe(str(path), timestamp_granularity=None, cancel_event=cancel_event, **options)
            if number >= 0:
                factors.append((time.perf_counter() - start) / duration_s)
        found = mean("real_time_factor", factors, "1", "lower")
        chosen = {"n": len(factors), "sound": _digest(path), "sound_s": round(duration_s, 3)}
        return Measured((found,), chosen, {"real_time_factor": factors}, spread(factors))


def _texts(settings: BenchmarkSettings, seed: int) -> list[str]:
    first = settings.seed + seed * SENTENCES
    return [random_messages(settings.prompt_tokens, first + number)[0]["content"] for number in range(SENTENCES)]


def _rate(
    name: str,
    ask: Callable[[list[str]], Any],
    count_cut: Callable[[list[str]], int],
    settings: BenchmarkSettings,
    cancel_event: threading.Event,
) -> Measured:
    times_s: list[float] = []
    cut = 0
    for number in range(-1, settings.n or CALLS):
        if cancel_event.is_set():
            raise Cancelled("The benchmark was cancelled.")
        texts = _texts(settings, number + 1)
        start = time.perf_counter()
        ask(texts)
        if number >= 0:
            times_s.append(time.perf_counter() - start)
            cut += count_cut(texts)
    n = len(times_s)
    chosen = {"n": n, "words": settings.prompt_tokens, "texts_per_call": SENTENCES, "seed": settings.seed}
    told = f"{cut:,} of {n * SENTENCES:,} texts are longer than the model takes, and were cut" if cut else ""
    notes = "; ".join(filter(None, (told, spread(times_s))))
    samples = {name: [SENTENCES / taken_s for taken_s in times_s]}
    return Measured((rate(name, [float(SENTENCES)] * n, times_s, "1/s"),), chosen, samples, notes)


def _sound(settings: BenchmarkSettings) -> Path:
    """Return the named sound file. Raises BenchmarkFailed."""
    path = Path(settings.data.get("speech", ""))
    if not path.is_file():
        named = f"“{path}” is not a file" if settings.data.get("speech") else "no file was named"
        raise BenchmarkFailed(
            f"speech_rate needs a sound file of speech, and {named}.",
            "Name one with --data speech=FILE.wav, or for all runs in WEIGHBRIDGE_BENCHMARK_DATA.",
        )
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _duration_s(path: Path) -> float:
    """Return the duration of a sound, in any format of the handlers. Raises BenchmarkFailed."""
    from weighbridge.handlers.sound import read_sound  # This import needs packages that the other rates do not need.

    try:
        return read_sound(path, _MAX_SOUND_S).duration_s
    except HandlerError as error:
        raise BenchmarkFailed(error.problem, error.remedy) from error
