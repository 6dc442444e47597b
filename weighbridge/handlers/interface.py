"""The interface of a handler, which loads one model that passed and runs it with any library. Adapters are beside it.

The protocols are those of serving: a server, `weighbridge try` and the benchmarks call the same methods. A handler's
class takes `(hf_repo_id, device, cache_dir=None, **kwargs)`; `hf_repo_id` may be a folder; nothing is ever downloaded.
Not here: which class serves which model (config.models_file), or how a class is loaded by its path (loading).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import torch

Device: TypeAlias = "str | torch.device"


@dataclass(frozen=True)
class TokenLogprob:
    """The probability of a token.

    Attributes:
        token: its text.
        logprob: the natural logarithm of its probability in the model; -9999 for zero.
        content: its bytes, which may be less than a character; None where the tokenizer does not have them.
        top: the most likely tokens in its place.
    """

    token: str
    logprob: float
    content: tuple[int, ...] | None
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class ChatGeneration:
    """An answer.

    Attributes:
        text: the generated text, without the stop string.
        prompt_tokens: tokens of the prompt, including the template's; None where a service does not count.
        completion_tokens: generated tokens, including those of its reasoning; None where a service does not count.
        finish_reason: `stop`, `length`, `cancelled` (the text is what was generated so far), `tool_calls`,
            `content_filter`, or a service's own name.
        reasoning: the reasoning before the answer, where it is separate.
        refusal: the model's own reason for not answering.
        tool_calls: the tool calls in OpenAI's form.
        logprobs: the probability of each token of the text; empty unless requested.
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
class ChatRequest:
    """One of several requests that a chat handler answers together, by its optional method `generate_many`.

    Attributes:
        messages: in OpenAI's form.
        options: those of `generate`.
        cancel_event: ends this request.
        on_text: called with each piece of its text; None where its caller waits for the whole.
    """

    messages: Sequence[dict[str, Any]]
    options: Mapping[str, Any]
    cancel_event: threading.Event | None = None
    on_text: Callable[[str], None] | None = None


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
        text: the whole transcript.
        language: ISO 639-1, or None where the model does not report it.
        duration_s: the duration of the sound.
        segments: phrases with their times; empty unless requested.
        words: words with their times; empty unless requested.
    """

    text: str
    language: str | None
    duration_s: float
    segments: tuple[SpeechSegment, ...] = ()
    words: tuple[SpeechSegment, ...] = ()


@dataclass(frozen=True)
class RerankResult:
    """A document's index in the request, its relevance (larger is more relevant), and its text."""

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
        """Return the number of tokens of all texts together."""
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
        """Return the number of tokens of the messages in the model's own template."""
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
        """Return the transcript of a sound file."""
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
#: The methods that a class must have for each capability.
METHODS: dict[str, tuple[str, ...]] = {
    "text-embedding": ("embed", "count_tokens"),
    "chat-completion": ("generate", "count_tokens"),
    "vision": ("generate",),
    "audio-transcription": ("transcribe",),
    "rerank": ("rerank",),
}
#: A handler may have `close()`, which releases its resources; the code that opened it calls that (loading.opened).
#: Optional attributes of a handler with their defaults.
#: thread_safe: may be called from several threads at once; max_parallelism: the most parallel calls, None for any;
#: generation_defaults: the `defaults` of models.yaml; owned_by: `local`, `openai` or `vllm`;
#: joins: several calls may be merged into one, as no text's answer depends on the other texts.
ATTRIBUTES: dict[str, Any] = {
    "thread_safe": False,
    "max_parallelism": None,
    "generation_defaults": {},
    "supports_structured_outputs": False,
    "owned_by": "local",
    "joins": False,
}
