"""Handlers that pass the work on to an OpenAI-compatible service; nothing is loaded here.

In models.yaml: `handler: weighbridge.handlers.upstream.UpstreamChat`, `upstream_base_url`, `upstream_api_key_env`,
`skip_download: true`; `hf_repo_id` is the model's name there. What a service says of itself is checked, not believed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from weighbridge.errors import Cancelled, HandlerError, InvalidConfiguration
from weighbridge.handlers.interface import ChatGeneration, Device, RerankResult, SpeechResult, SpeechSegment
from weighbridge.handlers.openai_endpoint import OpenAIEndpoint


class _Upstream:
    """What the four have in common: the service and the model's name there."""

    thread_safe = True
    max_parallelism: int | None = None
    owned_by = "openai"

    def __init__(self, hf_repo_id: str, device: Device = "cpu", cache_dir: str | None = None, **kwargs: Any) -> None:
        base_url = kwargs.get("upstream_base_url", "")
        if not base_url:
            raise InvalidConfiguration(
                f"{hf_repo_id} has no upstream_base_url.", "Write it in models.yaml: https://host/v1."
            )
        self.name: str = kwargs.get("name", hf_repo_id)
        self.generation_defaults: dict[str, Any] = kwargs.get("generation_defaults", {})
        self.supports_structured_outputs = bool(kwargs.get("supports_structured_outputs"))
        self._model = hf_repo_id
        self._endpoint = OpenAIEndpoint(
            base_url, kwargs.get("upstream_api_key_env", ""), timeout_s=float(kwargs.get("timeout_s", 120.0))
        )
        self.device: Device = self._endpoint.host

    def _wrong(self, what: str) -> HandlerError:
        return HandlerError(f"{self.device} answers for {self.name} with {what}.", "Is it the right kind of model?")


class UpstreamChat(_Upstream):
    """Chat at a service."""

    capabilities = ["chat-completion", "vision"]

    def generate(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        stop: list[str] | None = None,
        cancel_event: threading.Event | None = None,
    ) -> ChatGeneration:
        """Answer messages. Raises HandlerError, and Cancelled when `cancel_event` was set."""
        return self.stream(
            messages,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            stop=stop,
            cancel_event=cancel_event,
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
        pieces: list[str] = []
        reason, usage = "", {}
        for event in self._endpoint.stream("/chat/completions", body):
            if cancel_event is not None and cancel_event.is_set():
                raise Cancelled(f"The answer of {self.name} was cancelled.")
            if isinstance(event.get("usage"), dict):
                usage = event["usage"]
            piece, ended = self._piece(event)
            reason = ended or reason
            if piece:
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
        """Return float32 vectors of shape (texts, dim). Raises HandlerError."""
        return self._ask(texts)[0]

    def count_tokens(self, texts: list[str]) -> int:
        """Return the tokens that the service counts. Raises HandlerError."""
        return self._ask(texts)[1]

    def _ask(self, texts: list[str]) -> tuple[np.ndarray, int]:
        answer = self._endpoint.post("/embeddings", {"model": self._model, "input": texts})
        usage = answer.get("usage")
        tokens = usage.get("prompt_tokens", 0) if isinstance(usage, dict) else 0
        try:
            found = sorted(answer["data"], key=lambda entry: entry["index"])
            vectors = np.array([entry["embedding"] for entry in found], np.float32)
            places = [entry["index"] for entry in found]
        except (KeyError, TypeError, ValueError) as error:
            raise self._wrong("no vectors") from error
        if places != list(range(len(texts))) or vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise self._wrong(
                f"vectors of the shape {vectors.shape} for {len(texts)} texts, or with no numbers in them"
            )
        return vectors, tokens if isinstance(tokens, int) else 0


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
        """Return what is said in a sound file. Raises HandlerError."""
        fields = {"model": self._model, "response_format": "verbose_json"}
        given = {"language": language, "prompt": prompt, "timestamp_granularities[]": timestamp_granularity}
        fields |= {key: value for key, value in given.items() if value}
        if temperature is not None:
            fields["temperature"] = str(temperature)
        path = Path(audio_path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise HandlerError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
        kind = "transcriptions" if task == "transcribe" else "translations"
        answer = self._endpoint.upload(f"/audio/{kind}", fields, path.name, content)
        try:
            return SpeechResult(
                str(answer["text"]),
                answer.get("language"),
                float(answer.get("duration", 0.0)),
                self._segments(answer.get("segments"), "text"),
                self._segments(answer.get("words"), "word"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._wrong("no transcript") from error

    @staticmethod
    def _segments(found: Any, key: str) -> tuple[SpeechSegment, ...]:
        return tuple(SpeechSegment(str(part[key]), float(part["start"]), float(part["end"])) for part in found or ())


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
        """Return the documents with their scores, the most relevant first. Raises HandlerError."""
        body = {"model": self._model, "query": query, "documents": list(documents)}
        answer = self._endpoint.post("/rerank", body)
        try:
            scores = {int(entry["index"]): float(entry["relevance_score"]) for entry in answer["results"]}
        except (KeyError, TypeError, ValueError) as error:
            raise self._wrong("no scores") from error
        if scores.keys() != set(range(len(documents))) or not all(map(np.isfinite, scores.values())):
            raise self._wrong("scores of other documents, or that are no numbers")
        order = sorted(scores, key=lambda index: (-scores[index], index))
        return [RerankResult(index, scores[index], documents[index]) for index in order[:top_k]]
