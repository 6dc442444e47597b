"""`embedding_rate`, `rerank_rate` and `speech_rate`: how much text or sound a model takes in a second, all by all time.

A model that cuts long texts reads less than it was given, so that its rate flatters it: the result says how many were
cut.
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

#: Calls that are timed when nobody says, and what each holds.
CALLS = 10
SENTENCES = 32
_QUERY = "what is said of the weather"
_MAX_SOUND_S = 7200.0


class EmbeddingRate:
    """`embedding_rate`: sentences a second, `SENTENCES` of `prompt_tokens` words each a call."""

    name: ClassVar[str] = "embedding_rate"
    definition: ClassVar[str] = "embedding_rate/2"
    capability: ClassVar[str] = "text-embedding"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure. Raises HandlerError, OutOfMemory, Cancelled."""
        embed: Callable[[list[str]], Any] = getattr(handler, "embed")  # noqa: B009 (one of several protocols)
        count_cut: Callable[[list[str]], int] = getattr(handler, "count_cut", lambda texts: 0)
        return _rate("sentences_per_second", embed, count_cut, settings, cancel_event)


class RerankRate:
    """`rerank_rate`: documents a second, `SENTENCES` of `prompt_tokens` words each a call."""

    name: ClassVar[str] = "rerank_rate"
    definition: ClassVar[str] = "rerank_rate/2"
    capability: ClassVar[str] = "rerank"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure. Raises HandlerError, OutOfMemory, Cancelled."""
        rerank: Callable[[str, list[str]], Any] = getattr(handler, "rerank")  # noqa: B009
        count_cut: Callable[[str, list[str]], int] = getattr(handler, "count_cut", lambda query, documents: 0)
        return _rate(
            "documents_per_second", partial(rerank, _QUERY), partial(count_cut, _QUERY), settings, cancel_event
        )


class SpeechRate:
    """`speech_rate`: the real-time factor, seconds of work for a second of sound; below 1 it keeps up.

    The sound is the file of `data["speech"]`: there is no standard one that may be shipped. What measures all that
    is new leaves this out where none is named.
    """

    name: ClassVar[str] = "speech_rate"
    definition: ClassVar[str] = "speech_rate/1"
    capability: ClassVar[str] = "audio-transcription"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Measure. Raises BenchmarkFailed, HandlerError, OutOfMemory, Cancelled."""
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
    """Return the sound file that was named. Raises BenchmarkFailed."""
    path = Path(settings.data.get("speech", ""))
    if not path.is_file():
        named = f"“{path}” is no file" if settings.data.get("speech") else "no file was named"
        raise BenchmarkFailed(
            f"speech_rate needs a sound file of speech, and {named}.",
            "Name one with --data speech=FILE.wav, or for all runs in WEIGHBRIDGE_BENCHMARK_DATA.",
        )
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _duration_s(path: Path) -> float:
    """Return how long a sound is, in any form that handlers read. Raises BenchmarkFailed."""
    from weighbridge.handlers.sound import read_sound  # Needs packages that other rates do without.

    try:
        return read_sound(path, _MAX_SOUND_S).duration_s
    except HandlerError as error:
        raise BenchmarkFailed(error.problem, error.remedy) from error
