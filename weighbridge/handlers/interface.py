"""What a handler is: it loads one model that passed and does its work, whatever library runs it. Adapters lie beside.

The protocols are those of serving: a server, `weighbridge try` and the benchmarks call the same methods. A handler's
class takes `(hf_repo_id, device, cache_dir=None, **kwargs)`; `hf_repo_id` may be a folder; nothing is ever downloaded.
Not here: which class serves which model (config.models_file), or how a class is found by its path (loading).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import torch

Device: TypeAlias = "str | torch.device"


@dataclass(frozen=True)
class TokenLogprob:
    """How likely a token was.

    Attributes:
        token: its text.
        logprob: the natural logarithm of its probability, as the model has it; -9999 for never.
        content: its bytes, which may be less than a letter; None where the tokenizer does not tell.
        top: the likeliest tokens in its place.
    """

    token: str
    logprob: float
    content: tuple[int, ...] | None
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class ChatGeneration:
    """An answer.

    Attributes:
        text: what was generated, without the stop string.
        prompt_tokens: tokens of the prompt, the template's included; None where a service does not count.
        completion_tokens: tokens generated, those of its reasoning included; None where a service does not count.
        finish_reason: `stop`, `length`, `cancelled` (the text is what there was until then), `tool_calls`,
            `content_filter`, or a service's own word.
        reasoning: what was thought before, where that is told apart.
        refusal: why there is no answer, in the model's own words.
        tool_calls: what it wants to be done, in OpenAI's form.
        logprobs: how likely each token of the text was; empty unless asked for.
    """

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None
    finish_reason: str = "stop"
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class SpeechSegment:
    """A part of a transcript, from `start_s` to `end_s` seconds; a word or a phrase."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class SpeechResult:
    """A transcript.

    Attributes:
        text: all of it.
        language: ISO 639-1, or None where the model does not say.
        duration_s: of the sound.
        segments: phrases with their times; empty unless asked for.
        words: words with their times; empty unless asked for.
    """

    text: str
    language: str | None
    duration_s: float
    segments: tuple[SpeechSegment, ...] = ()
    words: tuple[SpeechSegment, ...] = ()


@dataclass(frozen=True)
class RerankResult:
    """A document's place in the list that was given, its relevance (larger is more relevant), and its text."""

    index: int
    score: float
    document: str = field(default="", repr=False)


class EmbeddingModel(Protocol):
    """Turns texts into vectors; capabilities: `text-embedding`."""

    name: str
    dim: int
    device: Device
    capabilities: list[str]

    def embed(self, texts: list[str], cancel_event: threading.Event | None = None) -> np.ndarray:
        """Return float32 vectors of shape (texts, dim)."""
        ...

    def count_tokens(self, texts: list[str]) -> int:
        """Return the tokens of all texts together."""
        ...


class ChatModel(Protocol):
    """Answers messages; capabilities: `chat-completion`, and `vision` where messages may hold images."""

    name: str
    device: Device
    capabilities: list[str]

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
        """Answer messages in OpenAI's form, `{"role": …, "content": …}`."""
        ...

    def count_tokens(self, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool = True) -> int:
        """Return the tokens of the messages under the model's own template."""
        ...


class SpeechModel(Protocol):
    """Turns speech into text; capabilities: `audio-transcription`."""

    name: str
    device: Device
    capabilities: list[str]

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
        """Return what is said in a sound file."""
        ...


class RerankModel(Protocol):
    """Orders documents by their relevance for a query; capabilities: `rerank`."""

    name: str
    device: Device
    capabilities: list[str]

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_k: int | None = None,
        cancel_event: threading.Event | None = None,
    ) -> list[RerankResult]:
        """Return the documents with their scores, the most relevant first."""
        ...


Handler: TypeAlias = "EmbeddingModel | ChatModel | SpeechModel | RerankModel"
#: Capability to the methods that a class with it must have.
METHODS: dict[str, tuple[str, ...]] = {
    "text-embedding": ("embed", "count_tokens"),
    "chat-completion": ("generate", "count_tokens"),
    "vision": ("generate",),
    "audio-transcription": ("transcribe",),
    "rerank": ("rerank",),
}
#: A handler may have `close()`, which gives back what it holds; who opened it calls that (loading.opened).
#: Optional attributes of a handler with their defaults.
#: thread_safe: may be called from several threads at once; max_parallelism: calls at once at most, None for any;
#: generation_defaults: what `defaults` of models.yaml says; owned_by: `local`, `openai` or `vllm`;
#: joins: several calls may be done as one, since no text's answer depends on the texts beside it.
ATTRIBUTES: dict[str, Any] = {
    "thread_safe": False,
    "max_parallelism": None,
    "generation_defaults": {},
    "supports_structured_outputs": False,
    "owned_by": "local",
    "joins": False,
}
