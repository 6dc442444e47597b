"""Transcription at a service that speaks OpenAI's protocol: OpenAI's whisper-1 and gpt-4o-transcribe, vLLM, speaches.

Not here: chat (upstream), and sounds that are read here (sound).
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any, Literal

from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.handlers.interface import Device, SpeechResult, SpeechSegment
from weighbridge.handlers.upstream_service import UpstreamService

_MAX_NAME = 40


class UpstreamSpeech(UpstreamService):
    """Transcription at a service."""

    capabilities = ["audio-transcription"]

    def __init__(self, hf_repo_id: str, device: Device = "cpu", cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, cache_dir, **kwargs)
        self._verbose = True

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
        """Return the transcript of a sound file; the duration is 0 where the service states none.

        Raises:
            InvalidRequest: the service blames the request, or returns no times.
            HandlerError: the file cannot be read, or the service fails.
            Cancelled: `cancel_event` was set.
        """
        fields: dict[str, str] = {"model": self._model}
        given = {"language": language, "prompt": prompt, "timestamp_granularities[]": timestamp_granularity}
        fields |= {key: value for key, value in given.items() if value}
        if temperature is not None:
            fields["temperature"] = str(temperature)
        kind = "transcriptions" if task == "transcribe" else "translations"
        answer = self._asked(kind, fields, Path(audio_path), cancel_event)
        said, usage = answer.get("language"), answer.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        duration = _seconds(answer.get("duration", usage.get("seconds", 0.0)))
        if not isinstance(answer.get("text"), str) or not isinstance(said, str | None) or duration is None:
            raise self.wrong("no transcript")
        segments, words = self._parts(answer.get("segments"), "text"), self._parts(answer.get("words"), "word")
        return SpeechResult(answer["text"], _code(said) or language, duration, segments, words)

    def _asked(self, kind: str, fields: dict[str, str], path: Path, event: threading.Event | None) -> dict[str, Any]:
        """Request a transcript with times, and only the text where the service returns no more."""
        while True:
            form = {**fields, "response_format": "verbose_json" if self._verbose else "json"}
            try:
                if not path.is_file():  # Reading a device or a pipe would never end.
                    raise FileNotFoundError(None, "no such file")
                with path.open("rb") as file:
                    return self._endpoint.upload(f"/audio/{kind}", form, path.name, file, event)
            except OSError as error:
                raise HandlerError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
            except InvalidRequest as error:
                refused = "response_format" in (error.facts.get("param"), *re.findall(r"\w+", error.problem))
                if not self._verbose or not refused:
                    raise
                if "timestamp_granularities[]" in fields:
                    raise InvalidRequest(
                        f"{self.name} at {self.device} returns no times: it takes no verbose_json.",
                        "Ask without times, or use another model.",
                    ) from error
                self._verbose = False

    def _parts(self, found: Any, key: str) -> tuple[SpeechSegment, ...]:
        parts = []
        for part in found if isinstance(found, list) else ():
            text = part.get(key) if isinstance(part, dict) else None
            start, end = (_seconds(part.get(name)) if isinstance(part, dict) else None for name in ("start", "end"))
            if not isinstance(text, str) or start is None or end is None or end < start:
                raise self.wrong("parts of a transcript that have no text or no times")
            parts.append(SpeechSegment(text, start, end))
        return tuple(parts)


def _code(said: str | None) -> str | None:
    """Return a language as ISO 639-1, also for its English name, which OpenAI sends; None for anything else."""
    if said is None or re.fullmatch(r"[a-z]{2,3}", said):
        return said
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    code: str | None = TO_LANGUAGE_CODE.get(said.strip().lower()[:_MAX_NAME])
    return code


def _seconds(value: Any) -> float | None:
    """Return a time in seconds, or None for anything else; vLLM's protocol writes durations as strings."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,20})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)
