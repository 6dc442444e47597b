"""Handlers that pass the work on to an OpenAI-compatible service; nothing is loaded here.

In models.yaml: `handler: weighbridge.handlers.upstream.UpstreamChat`, `upstream_base_url`, `upstream_api_key_env`,
`skip_download: true`; `hf_repo_id` is the model's name there. What a service says of itself is checked, not believed.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from weighbridge.errors import HandlerError, InvalidConfiguration
from weighbridge.handlers.interface import ChatGeneration, Device, RerankResult, SpeechResult, SpeechSegment
from weighbridge.net.openai.endpoint import OpenAIEndpoint

#: Characters that a token can stand for at most; the longest known are runs of spaces.
_TOKEN_SIZE = 1024
#: Texts, or documents, in one request; more are refused by some services.
_BATCH = 256


class _Upstream:
    """What the four have in common: the service and the model's name there; may be called from several threads.

    Args:
        hf_repo_id: the model's name there.
        device: of no use; the service's host stands there afterwards.
        cache_dir: of no use.
        kwargs: `name`, `generation_defaults`, `upstream_base_url`, `upstream_api_key_env`, `timeout_s` (seconds without
            a byte; 120), `owned_by` (`openai`, or what the service is: `vllm`, `local`).

    Raises:
        InvalidConfiguration: there is no such address, or its key's variable is empty.
    """

    options = ["upstream_base_url", "upstream_api_key_env", "timeout_s", "owned_by"]
    thread_safe = True
    max_parallelism: int | None = None

    def __init__(self, hf_repo_id: str, device: Device = "cpu", cache_dir: str | None = None, **kwargs: Any) -> None:
        base_url = kwargs.get("upstream_base_url", "")
        if not base_url:
            raise InvalidConfiguration(
                f"{hf_repo_id} has no upstream_base_url.", "Write it in models.yaml: https://host/v1."
            )
        self.name: str = kwargs.get("name", hf_repo_id)
        self.generation_defaults: dict[str, Any] = kwargs.get("generation_defaults", {})
        self.supports_structured_outputs = False
        self.owned_by: str = kwargs.get("owned_by", "openai")
        self._model = hf_repo_id
        self._endpoint = OpenAIEndpoint(
            base_url, kwargs.get("upstream_api_key_env", ""), timeout_s=float(kwargs.get("timeout_s", 120.0))
        )
        self.device: Device = self._endpoint.host

    def _wrong(self, what: str) -> HandlerError:
        return HandlerError(f"{self.device} answers for {self.name} with {what}.", "Is it the right kind of model?")


class UpstreamChat(_Upstream):
    """Chat at a service; with `supports_structured_outputs` also in a form that a `response_format` asks for."""

    capabilities = ["chat-completion", "vision"]
    options = [
        "upstream_base_url",
        "upstream_api_key_env",
        "timeout_s",
        "owned_by",
        "supports_structured_outputs",
    ]

    def __init__(self, hf_repo_id: str, device: Device = "cpu", cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, cache_dir, **kwargs)
        self.supports_structured_outputs = bool(kwargs.get("supports_structured_outputs"))

    def generate(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        stop: list[str] | None = None,
        cancel_event: threading.Event | None = None,
        response_format: Mapping[str, Any] | None = None,
    ) -> ChatGeneration:
        """Answer messages, in a form that `response_format` may ask for as OpenAI's protocol has it.

        Raises:
            HandlerError: the service fails, or says what cannot be.
            Cancelled: `cancel_event` was set; the service is no longer listened to.
        """
        return self.stream(
            messages,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            stop=stop,
            cancel_event=cancel_event,
            response_format=response_format,
        )

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        stop: list[str] | None = None,
        cancel_event: threading.Event | None = None,
        on_token: Callable[[], None] | None = None,
        response_format: Mapping[str, Any] | None = None,
    ) -> ChatGeneration:
        """Answer messages, calling back for each piece of text as it arrives; otherwise as `generate`."""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "max_tokens": max_new_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "stream_options": {"include_usage": True},
        }
        if stop:
            body["stop"] = stop
        if response_format is not None:
            self._refuse_form()
            body["response_format"] = dict(response_format)
        pieces: list[str] = []
        room, reason, usage = _TOKEN_SIZE * max_new_tokens, "", {}
        for event in self._endpoint.stream("/chat/completions", body, cancel_event):
            if isinstance(event.get("usage"), dict):
                usage = event["usage"]
            piece, ended = self._piece(event)
            reason = ended or reason
            if piece:
                room -= len(piece)
                if room < 0:
                    raise self._wrong(f"more text than {max_new_tokens} tokens can be")
                pieces.append(piece)
                if on_token:
                    on_token()
        if not reason:
            raise self._wrong("a stream that says no reason for its end: half an answer")
        prompt = self._tokens(usage, "prompt_tokens", 2**31, 0)
        completion = self._tokens(usage, "completion_tokens", max_new_tokens, len(pieces))
        return ChatGeneration("".join(pieces), prompt, completion, reason)

    def count_tokens(self, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool = True) -> int:
        """Return what the service counts for an answer of one token: OpenAI's protocol cannot ask otherwise."""
        return self.generate(messages, max_new_tokens=1, temperature=0.0, top_p=1.0).prompt_tokens

    def _refuse_form(self) -> None:
        if not self.supports_structured_outputs:
            raise HandlerError(
                f"{self.name} is not said to answer in a form that is asked for.",
                "Write supports_structured_outputs: true in models.yaml if its service does.",
            )

    def _piece(self, event: dict[str, Any]) -> tuple[str, str]:
        choices = event.get("choices")
        if choices == [] or choices is None:
            return "", ""
        choice = choices[0] if isinstance(choices, list) else None
        delta = choice.get("delta") if isinstance(choice, dict) else None
        content = delta.get("content") if isinstance(delta, dict) else None
        if not isinstance(delta, dict) or not isinstance(content, str | None):
            raise self._wrong("events that hold no text")
        reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        return content or "", reason if isinstance(reason, str) else ""

    def _tokens(self, usage: dict[str, Any], key: str, most: int, counted: int) -> int:
        """Return what the service says it used; what cannot be is an error, as prices and speeds rest on it."""
        stated = usage.get(key, counted)
        if not isinstance(stated, int) or isinstance(stated, bool) or not 0 <= stated <= most:
            raise self._wrong(f"{key} of {str(stated)[:40]!r}, at most {most} can be")
        if key == "completion_tokens" and counted and not stated:
            raise self._wrong("a text that it says has no tokens")
        return stated


class UpstreamEmbedding(_Upstream):
    """Embeddings at a service."""

    capabilities = ["text-embedding"]

    @property
    def dim(self) -> int:
        """The length of a vector, found by asking for one."""
        return int(self.embed(["dimension"]).shape[1])

    def embed(self, texts: list[str], cancel_event: threading.Event | None = None) -> np.ndarray:
        """Return float32 vectors of shape (texts, dim). Raises HandlerError, Cancelled."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        found = [self._ask(batch, cancel_event)[0] for batch in _batches(texts)]
        if len({vectors.shape[1] for vectors in found}) > 1:
            raise self._wrong("vectors of several lengths")
        return np.concatenate(found)

    def count_tokens(self, texts: list[str]) -> int:
        """Return the tokens that the service counts. Raises HandlerError."""
        return sum(self._ask(batch, None)[1] for batch in _batches(texts))

    def _ask(self, texts: Sequence[str], cancel_event: threading.Event | None) -> tuple[np.ndarray, int]:
        body = {"model": self._model, "input": list(texts)}
        answer = self._endpoint.post("/embeddings", body, cancel_event)
        usage = answer.get("usage")
        tokens = usage.get("prompt_tokens", 0) if isinstance(usage, dict) else 0
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
            raise self._wrong(f"prompt_tokens of {str(tokens)[:40]!r}")
        try:
            found = sorted(answer["data"], key=lambda entry: entry["index"])
            vectors = np.array([entry["embedding"] for entry in found], np.float32)
            places = [entry["index"] for entry in found]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._wrong("no vectors") from error
        if places != list(range(len(texts))) or vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise self._wrong(
                f"vectors of the shape {vectors.shape} for {len(texts)} texts, or with no numbers in them"
            )
        return vectors, tokens


class UpstreamSpeech(_Upstream):
    """Transcription at a service."""

    capabilities = ["audio-transcription"]

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
        """Return what is said in a sound file. Raises HandlerError, Cancelled."""
        fields = {"model": self._model, "response_format": "verbose_json"}
        given = {"language": language, "prompt": prompt, "timestamp_granularities[]": timestamp_granularity}
        fields |= {key: value for key, value in given.items() if value}
        if temperature is not None:
            fields["temperature"] = str(temperature)
        path = Path(audio_path)
        kind = "transcriptions" if task == "transcribe" else "translations"
        try:
            if not path.is_file():  # A device or a pipe would never end.
                raise FileNotFoundError(None, "no such file")
            with path.open("rb") as file:
                answer = self._endpoint.upload(f"/audio/{kind}", fields, path.name, file, cancel_event)
        except OSError as error:
            raise HandlerError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
        text, said, duration = answer.get("text"), answer.get("language"), _seconds(answer.get("duration", 0.0))
        if not isinstance(text, str) or not isinstance(said, str | None) or duration is None:
            raise self._wrong("no transcript")
        return SpeechResult(
            text, said, duration, self._parts(answer.get("segments"), "text"), self._parts(answer.get("words"), "word")
        )

    def _parts(self, found: Any, key: str) -> tuple[SpeechSegment, ...]:
        parts = []
        for part in found if isinstance(found, list) else ():
            text = part.get(key) if isinstance(part, dict) else None
            start, end = (_seconds(part.get(name)) if isinstance(part, dict) else None for name in ("start", "end"))
            if not isinstance(text, str) or start is None or end is None or end < start:
                raise self._wrong("parts of a transcript that have no text or no times")
            parts.append(SpeechSegment(text, start, end))
        return tuple(parts)


class UpstreamRerank(_Upstream):
    """Reranking at a service that speaks Cohere's and vLLM's `/rerank`."""

    capabilities = ["rerank"]

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_k: int | None = None,
        cancel_event: threading.Event | None = None,
    ) -> list[RerankResult]:
        """Return the documents with their scores, the most relevant first. Raises HandlerError, Cancelled."""
        if not documents:
            return []
        body = {"model": self._model, "query": query, "documents": list(documents)}
        answer = self._endpoint.post("/rerank", body, cancel_event)
        try:
            scores = {int(entry["index"]): float(entry["relevance_score"]) for entry in answer["results"]}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._wrong("no scores") from error
        if scores.keys() != set(range(len(documents))) or not all(map(math.isfinite, scores.values())):
            raise self._wrong("scores of other documents, or that are no numbers")
        order = sorted(scores, key=lambda index: (-scores[index], index))
        return [RerankResult(index, scores[index], documents[index]) for index in order[:top_k]]


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]


def _seconds(value: Any) -> float | None:
    """Return a time, or None where it is none; vLLM's protocol writes durations as strings."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,20})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)
