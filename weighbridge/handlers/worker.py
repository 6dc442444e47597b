"""A worker: a handler whose model runs in a separate process, which stays and answers one call after another.

A model that crashes, hangs or exhausts the memory ends only its own process: its callers get an error, and the next
call loads it again. Waiting calls of the same kind are merged where that gives the same answers: texts to embed or rank
where the handler `joins`, and chats where it has `generate_many`. Not here: the process (worker_process), its own side
(worker_child), and the waiting calls (worker_line).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from weighbridge.errors import InvalidRequest
from weighbridge.handlers.interface import (
    ATTRIBUTES,
    ChatGeneration,
    Device,
    RerankResult,
    SpeechResult,
    SpeechSegment,
    TokenLogprob,
)
from weighbridge.handlers.ranking import ranked
from weighbridge.handlers.request import check_top_k, checked_text, shared_sampling
from weighbridge.handlers.worker_child import DESCRIBED
from weighbridge.handlers.worker_line import Call
from weighbridge.handlers.worker_serving import Serving, WorkerLimits, wrong_answer


class Worker:
    """A handler in a separate process; safe for several threads, until `close`.

    It has the capabilities and attributes of its handler, and the methods of every protocol; a method that its handler
    lacks is refused.

    Args:
        handler: the path of the handler's class.
        model: the folder of the model, or its name at a service.
        device: `auto`, `cpu`, `cuda`, …
        limits: its limits.
        options: the handler's options.

    Raises:
        InvalidConfiguration: there is no such handler, device or option.
        HandlerError: the model cannot be loaded, or not in time.
        OutOfMemory: the device is too small for it.
    """

    name: str
    device: Device
    capabilities: list[str]
    dim: int
    generation_defaults: dict[str, Any]
    joins: bool

    def __init__(
        self,
        handler: str,
        model: str | os.PathLike[str],
        *,
        device: str = "auto",
        limits: WorkerLimits | None = None,
        **options: Any,
    ) -> None:
        self.name = str(options.get("name", model))
        what = {"handler": handler, "model": os.fspath(model), "device": device, "options": options}
        self._serving = Serving(self.name, what, limits or WorkerLimits())
        said = {**self._serving.described, "thread_safe": True, "max_parallelism": None}
        self._methods = frozenset(said["methods"])
        for attribute in {*DESCRIBED, *ATTRIBUTES} & said.keys():
            setattr(self, attribute, said[attribute])

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Return how many calls wait, without the running one."""
        return self._serving.waiting

    @property
    def pid(self) -> int | None:
        """Return the id of the process that has the model; None while there is none."""
        return self._serving.pid

    def close(self) -> None:
        """End the process after the running call; waiting and later calls are refused."""
        self._serving.close()

    def embed(self, texts: Sequence[str], cancel_event: threading.Event | None = None, **options: Any) -> np.ndarray:
        """Return float32 vectors of shape (texts, dim). Raises as the handler, and as `generate`."""
        if isinstance(texts, str):
            raise InvalidRequest(f"{self.name} embeds a list of texts, and got one text.", "Put it into a list.")
        arguments = {"texts": [checked_text(text) for text in texts], **options}
        call = Call("embed", arguments, joined="texts" if self.joins else "")
        vectors: np.ndarray = self._serving.ask(call, cancel_event)
        return vectors

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_k: int | None = None,
        cancel_event: threading.Event | None = None,
    ) -> list[RerankResult]:
        """Return the documents with their scores, the most relevant first. Raises as `generate`."""
        check_top_k(top_k)
        query, texts = checked_text(query), [checked_text(document) for document in documents]
        if self.joins and "score" in self._methods:
            call = Call("score", {"pairs": [(query, text) for text in texts]}, joined="pairs")
        else:
            call = Call("rerank", {"query": query, "documents": texts})
        scores = self._serving.ask(call, cancel_event)
        if not isinstance(scores, list) or len(scores) != len(texts):
            raise wrong_answer(self.name)
        return ranked(scores, texts, top_k)

    def generate(
        self, messages: Sequence[dict[str, Any]], *, cancel_event: threading.Event | None = None, **options: Any
    ) -> ChatGeneration:
        """Answer messages; the options are those of the handler.

        Raises:
            InvalidRequest: the handler refuses the request, or does not take an option.
            Busy: the queue of waiting calls is full.
            HandlerError: the handler fails, its process has died, or there is no answer in time.
            Cancelled: `cancel_event` was set before there was a token.
        """
        return self.stream(messages, cancel_event=cancel_event, **options)

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        on_text: Callable[[str], None] | None = None,
        cancel_event: threading.Event | None = None,
        **options: Any,
    ) -> ChatGeneration:
        """Answer messages and call back with each piece of the text; otherwise as `generate`."""
        shared = shared_sampling(options) if "generate_many" in self._methods else ()
        call = Call("generate", {"messages": list(messages), **options}, hears=on_text is not None, shared=shared)
        value = self._serving.ask(call, cancel_event, on_text)
        try:
            parts = {"tool_calls": tuple(value["tool_calls"]), "logprobs": tuple(map(_logprob, value["logprobs"]))}
            return ChatGeneration(**{**value, **parts})
        except (KeyError, TypeError) as error:
            raise wrong_answer(self.name) from error

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
        """Return the transcript of a sound file. Raises as `generate`."""
        arguments = {"language": language, "prompt": prompt, "temperature": temperature, "task": task}
        arguments |= {"audio_path": os.path.abspath(audio_path), "timestamp_granularity": timestamp_granularity}
        value = self._serving.ask(Call("transcribe", arguments), cancel_event)
        try:
            parts = {key: tuple(SpeechSegment(**part) for part in value[key]) for key in ("segments", "words")}
            return SpeechResult(**{**value, **parts})
        except (KeyError, TypeError) as error:
            raise wrong_answer(self.name) from error

    def count_tokens(self, counted: Sequence[Any], **options: Any) -> int:
        """Return the number of tokens of all texts, or of messages in the model's template. Raises as `generate`."""
        return int(self._serving.ask(Call("count_tokens", {"counted": list(counted), **options}), None))

    def count_cut(self, *texts: Any) -> int:
        """Return how many texts are too long by the handler's count; 0 where it has none. Raises as `generate`."""
        call = Call("count_cut", {"counted": texts})
        return int(self._serving.ask(call, None)) if "count_cut" in self._methods else 0


def _logprob(value: dict[str, Any]) -> TokenLogprob:
    content = None if value["content"] is None else tuple(value["content"])
    return TokenLogprob(value["token"], value["logprob"], content, tuple(map(_logprob, value["top"])))
