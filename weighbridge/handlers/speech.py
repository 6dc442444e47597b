"""Speech to text by Whisper through transformers: any length, its language, and the times of phrases and words."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from transformers import (
    AutoModelForSpeechSeq2Seq,
    AutoProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    WhisperForConditionalGeneration,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES, TO_LANGUAGE_CODE

# This is not public, but transformers' own pipeline uses it to form words from tokens, in every script.
from transformers.models.whisper.tokenization_whisper import _combine_tokens_into_words as combine_into_words

from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.handlers.generation import Finite
from weighbridge.handlers.inference import inferring, refuse_cancelled, sown, watched
from weighbridge.handlers.interface import Device, SpeechResult, SpeechSegment
from weighbridge.handlers.local_model import LocalModel
from weighbridge.handlers.pretrained import load_model, load_processor, locate
from weighbridge.handlers.sound import RATE, SILENCE, Sound, read_sound

_MAX_DURATION_S = 2 * 3600.0
#: The temperatures of OpenAI's own program without a requested one: the next is tried where an answer is doubtful.
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
#: An answer is doubtful when it repeats itself (its text is compressed more than 2.4 times) or is unlikely; and silence
#: is skipped. These are OpenAI's own numbers.
_DOUBTS: dict[str, Any] = {
    "compression_ratio_threshold": 2.4,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
}
#: The seed with which the same sound has the same text at temperature 0, also at higher attempts.
_SEED = 0
#: The error of a phrase's time in seconds.
_NEAR_S = 1.0
#: The size of the vocabulary of English-only models; every other one is larger.
_ENGLISH_ONLY = 51_864


class WhisperSpeech(LocalModel):
    """A Whisper model; calls are made one after another, under a lock.

    Args:
        hf_repo_id: a repository in the cache, or a folder.
        device: the device it runs on.
        cache_dir: the Hugging Face cache; huggingface_hub's default when None.
        kwargs: `name`, `dtype`, `max_duration_s` (of a sound; two hours by default), and the other options of `locate`.

    Raises:
        HandlerError, OutOfMemory: it cannot be loaded, or is not a Whisper model.
    """

    capabilities = ["audio-transcription"]
    options = ["dtype", "max_duration_s"]

    def __init__(self, hf_repo_id: str, device: Device, cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, kwargs)
        self.max_duration_s = float(kwargs.get("max_duration_s", _MAX_DURATION_S))
        place = locate(hf_repo_id, cache_dir, kwargs)
        self.processor = load_processor(AutoProcessor, place)
        self.model = load_model(AutoModelForSpeechSeq2Seq, place, device)
        if not isinstance(self.model, WhisperForConditionalGeneration):
            raise HandlerError(f"{self.name} is not a Whisper model.", "Name another handler in models.yaml.")
        self._tokenizer = self.processor.tokenizer
        _complete(self.model, self._tokenizer)
        # transformers compresses tokens, the times among them, so that what is repeated at each time is no repetition.
        self.model._retrieve_compression_ratio = partial(_compression_ratio, self._tokenizer)

    @property
    def multilingual(self) -> bool:
        """Return whether it supports other languages than English."""
        return bool(self.model.generation_config.is_multilingual)

    def transcribe(
        self,
        audio_path: str,
        *,
        language: str | None,
        prompt: str | None,
        temperature: float | None,
        task: Literal["transcribe", "translate"],
        timestamp_granularity: Literal["word", "segment", None],
        cancel_event: threading.Event | None = None,
    ) -> SpeechResult:
        """Return the transcript of a sound file; that of silence is empty.

        Args:
            audio_path: a file of a format that `sound` or `sound_containers` reads.
            language: ISO 639-1 or an English name; with None a multilingual model detects it.
            prompt: words that came before or are expected; only the end of a long one is used.
            temperature: 0 or None is greedy, and tries higher ones where an answer is doubtful, as OpenAI does.
            task: `transcribe`, or `translate` into English.
            timestamp_granularity: which times to return.
            cancel_event: ends it between two tokens.

        Raises:
            InvalidRequest: it is not a sound, or too long; or the model cannot do the task.
            HandlerError: the model computes NaN.
            OutOfMemory: the device is too small.
            Cancelled: `cancel_event` was set.
        """
        code = self._language(language, task)
        if timestamp_granularity == "word" and not getattr(self.model.generation_config, "alignment_heads", None):
            raise InvalidRequest(
                f"{self.name} has no alignment_heads in its generation_config.json, so it has no times of words.",
                "Ask for segments, or take a model that has them.",
            )
        ids = self._prompt(prompt)
        watch = _Watch(self.name, cancel_event)
        sound = read_sound(audio_path, self.max_duration_s, watch.check)
        if sound.silent:
            return SpeechResult("", code, sound.duration_s)
        with (
            self.turns.take(self.name, cancel_event),
            watched(self.model, self.name, cancel_event),
            inferring(self.name, str(self.device), "speech"),
            sown(self.device, None if temperature else _SEED),
        ):
            features, options = self._inputs(sound, timestamp_granularity)
            if self.multilingual:
                code = code or self._detect(features)
                options |= {"language": code, "task": task}
            found = self._segments(features, ids, temperature, watch, options)
        segments = [segment for segment in found if _heard(segment, sound) and self._has_words(segment)]
        text = "".join(self._text(segment) for segment in segments).strip()
        wanted, end = timestamp_granularity, sound.duration_s
        return SpeechResult(
            text,
            code,
            sound.duration_s,
            segments=self._phrases(segments, end) if wanted == "segment" else (),
            words=self._words(segments, code, end) if wanted == "word" else (),
        )

    def _segments(
        self, features: Any, ids: Any, temperature: float | None, watch: _Watch, options: dict[str, Any]
    ) -> list[Any]:
        """Return the model's segments with their tokens and times."""
        found = self.model.generate(
            features,
            prompt_ids=ids,
            logits_processor=LogitsProcessorList([Finite(self.name)]),
            stopping_criteria=StoppingCriteriaList([watch]),
            monitor_progress=watch.check,
            return_segments=True,
            temperature=(temperature,) if temperature else _TEMPERATURES,
            **_DOUBTS,
            **options,
        )
        return list(found["segments"][0])

    def _language(self, wanted: str | None, task: str) -> str | None:
        """Return ISO 639-1, or None to detect it. Raises InvalidRequest where the model does not support it."""
        code = wanted.strip().lower() if wanted else None
        code = TO_LANGUAGE_CODE.get(code, code) if code else None
        if self.multilingual:
            if task not in self.model.generation_config.task_to_id:
                raise InvalidRequest(f"{self.name} cannot {task}.", "Ask it to transcribe.")
            if code and f"<|{code}|>" not in self.model.generation_config.lang_to_id:
                raise InvalidRequest(
                    f"{self.name} does not support the language “{wanted}”.", "Write it as ISO 639-1: de."
                )
            return code
        if code not in (None, "en"):
            raise InvalidRequest(f"{self.name} supports only English, not “{wanted}”.", "Choose a multilingual model.")
        if task != "transcribe":
            raise InvalidRequest(
                f"{self.name} supports only English: it cannot {task}.", "Choose a multilingual model."
            )
        return "en"

    def _prompt(self, prompt: str | None) -> torch.Tensor | None:
        if not prompt or not prompt.strip():
            return None
        try:
            ids = self._tokenizer.get_prompt_ids(prompt, return_tensors="pt")
        except ValueError as error:
            raise InvalidRequest(f"The prompt is not accepted: {error}", "Remove the special token from it.") from error
        # Half of the decoder's context is for the answer; the first token marks the others as earlier text.
        room = self.model.config.max_target_positions // 2 - 2
        return torch.cat([ids[:1], ids[1:][-room:]]).to(self.device)

    def _inputs(self, sound: Sound, granularity: str | None) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the model's input for a sound, and options for its length and the requested times."""
        extractor = self.processor.feature_extractor
        long = len(sound.samples) > extractor.n_samples
        padding = {"truncation": False, "padding": "longest"} if long else {}
        heard = extractor(sound.samples, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True, **padding)
        options: dict[str, Any] = {
            "return_timestamps": True
        }  # OpenAI's own program does the same: the model then marks parts without speech.
        if granularity == "word":
            options |= {"return_token_timestamps": True, "attention_mask": heard["attention_mask"].to(self.device)}
        return heard["input_features"].to(self.device, self.model.dtype), options

    def _detect(self, features: torch.Tensor) -> str:
        """Return the language of the first half minute."""
        settings = self.model.generation_config
        window = 2 * self.model.config.max_source_positions
        (number,) = self.model.detect_language(features, generation_config=settings, num_segment_frames=window).tolist()
        token = next(token for token, known in settings.lang_to_id.items() if known == number)
        return str(token).strip("<|>")

    def _said(self, segment: dict[str, Any]) -> list[int]:
        """Return the indexes of a segment's tokens that are text."""
        first_special = self._tokenizer.eos_token_id
        return [place for place, token in enumerate(segment["tokens"].tolist()) if token < first_special]

    def _text(self, segment: dict[str, Any]) -> str:
        return str(self._tokenizer.decode(segment["tokens"][self._said(segment)], skip_special_tokens=True))

    def _has_words(self, segment: dict[str, Any]) -> bool:
        """Return whether a phrase is more than dots, which models write for steady noise."""
        return any(map(str.isalnum, self._text(segment)))

    def _phrases(self, segments: Sequence[dict[str, Any]], end_s: float) -> tuple[SpeechSegment, ...]:
        phrases, now = [], 0.0
        for segment in segments:
            start = _within(float(segment["start"]), now, end_s)
            now = _within(float(segment["end"]), start, end_s)
            if text := self._text(segment).strip():
                phrases.append(SpeechSegment(text, start, now))
        return tuple(phrases)

    def _words(self, segments: Sequence[dict[str, Any]], code: str | None, end_s: float) -> tuple[SpeechSegment, ...]:
        """Return words with their times; a token's time is that of its end, so a word begins where the last ended."""
        words, now = [], 0.0
        for segment in segments:
            places, times = self._said(segment), segment["token_timestamps"].tolist()
            tokens = segment["tokens"][places].tolist()
            now = _within(float(segment["start"]), now, end_s)
            named = LANGUAGES.get(code or "en", "english")
            texts, _, groups = combine_into_words(self._tokenizer, tokens, named) if tokens else ((), (), ())
            for text, group in zip(texts, groups, strict=True):
                before = places[group[0]] - 1
                start = _within(times[before], now, end_s) if before >= 0 else now
                now = _within(times[places[group[-1]]], start, end_s)
                if text.strip():
                    words.append(SpeechSegment(text.strip(), start, now))
        return tuple(words)


class _Watch(StoppingCriteria):  # type: ignore[misc]
    """Ends the work when it is cancelled, between two tokens or two chunks."""

    def __init__(self, name: str, event: threading.Event | None) -> None:
        self._name, self._event = name, event

    def check(self, _places: torch.Tensor | None = None) -> None:
        refuse_cancelled(self._name, self._event)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.check()
        return torch.zeros(len(input_ids), device=input_ids.device, dtype=torch.bool)


def _compression_ratio(tokenizer: Any, tokens: torch.Tensor, _vocab_size: int) -> float:
    """Return how many times a text is compressed, as OpenAI's own program counts it: without times."""
    text = tokenizer.decode([token for token in tokens.tolist() if token < tokenizer.eos_token_id]).strip().encode()
    return len(text) / len(zlib.compress(text))


def _heard(segment: dict[str, Any], sound: Sound) -> bool:
    """Return whether a phrase's time has any sound: models invent words for silence and padding."""
    start, end = float(segment["start"]), float(segment["end"])
    near = sound.samples[max(0, int((start - _NEAR_S) * RATE)) : int((end + _NEAR_S) * RATE)]
    return start < sound.duration_s and bool(np.abs(near).max(initial=0.0) >= SILENCE)


def _within(value: float, low: float, high: float) -> float:
    return round(min(max(value, low), high), 3)


def _complete(model: Any, tokenizer: Any) -> None:
    """Add the generation settings that older models lack, from the vocabulary."""
    settings, words = model.generation_config, tokenizer.get_vocab()
    known = {
        "is_multilingual": model.config.vocab_size != _ENGLISH_ONLY,
        "no_timestamps_token_id": words.get("<|notimestamps|>"),
        "prev_sot_token_id": words.get("<|startofprev|>"),
    }
    if getattr(
        settings, "is_multilingual", known["is_multilingual"]
    ):  # transformers reads these as the mark of a multilingual model
        tokens = {code: f"<|{code}|>" for code in (*LANGUAGES, "transcribe", "translate")}
        known["lang_to_id"] = {tokens[code]: words[tokens[code]] for code in LANGUAGES if tokens[code] in words}
        known["task_to_id"] = {
            task: words[tokens[task]] for task in ("transcribe", "translate") if tokens[task] in words
        }
    for name, value in known.items():
        if value is not None and getattr(settings, name, None) is None:
            setattr(settings, name, value)
