"""Text chat through transformers, from safetensors or GGUF. Not here: messages with images (vision)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer

from weighbridge.errors import Cancelled, HandlerError, WeighbridgeError
from weighbridge.handlers.inference import inferring
from weighbridge.handlers.interface import ChatGeneration, Device
from weighbridge.handlers.pretrained import load_model, load_processor, locate


class TextChat:
    """A chat model; calls are made one after another, under a lock.

    Args:
        hf_repo_id: repository in the cache, or a folder.
        device: where it runs.
        cache_dir: the Hugging Face cache; huggingface_hub's own when None.
        kwargs: `name`, `generation_defaults`, `dtype`, `trust_remote_code`.

    Raises:
        HandlerError, OutOfMemory: it cannot be loaded.
    """

    capabilities = ["chat-completion"]
    thread_safe = False
    max_parallelism: int | None = 1
    owned_by = "local"

    def __init__(self, hf_repo_id: str, device: Device, cache_dir: str | None = None, **kwargs: Any) -> None:
        self.name: str = kwargs.get("name", hf_repo_id)
        self.device = device
        self.generation_defaults: dict[str, Any] = kwargs.get("generation_defaults", {})
        self.supports_structured_outputs = False
        place, trusted = locate(hf_repo_id, cache_dir), bool(kwargs.get("trust_remote_code"))
        self.tokenizer = load_processor(AutoTokenizer, place, trust_remote_code=trusted)
        chosen = {"dtype": kwargs["dtype"]} if "dtype" in kwargs else {}
        self.model = load_model(AutoModelForCausalLM, place, device, trust_remote_code=trusted, **chosen)
        self._lock = threading.Lock()

    @property
    def context_length(self) -> int:
        """Tokens that the model takes, prompt and answer together."""
        length = getattr(self.model.config, "max_position_embeddings", None)
        return length if isinstance(length, int) and length > 0 else 2**31

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
        """Answer messages; greedy at temperature 0.

        Raises:
            HandlerError: the template fails, the messages are too long, or the model computes no numbers.
            OutOfMemory: the device is too small.
            Cancelled: `cancel_event` was set.
        """
        prompt = self.encode(messages)
        sampling: dict[str, Any] = (
            {"do_sample": True, "temperature": temperature, "top_p": top_p} if temperature > 0 else {}
        )
        (answer,) = self.complete(
            [prompt],
            max_new_tokens=min(max_new_tokens, self.context_length - len(prompt)),
            cancel_event=cancel_event,
            stop=stop or [],
            **sampling,
        )
        text = self.tokenizer.decode(answer, skip_special_tokens=True)
        whole = _before_stop(text, stop or [])
        ended = whole != text or len(answer) < max_new_tokens
        return ChatGeneration(whole, len(prompt), len(answer), "stop" if ended else "length")

    def count_tokens(self, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool = True) -> int:
        """Return the tokens of the messages under the model's own template. Raises HandlerError."""
        return len(self._templated(messages, add_generation_prompt))

    def encode(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """Return the tokens of the messages and of what an answer begins with.

        Raises:
            HandlerError: the template fails, or there is no room for an answer.
        """
        prompt = self._templated(messages, True)
        if len(prompt) >= self.context_length:
            raise HandlerError(
                f"The messages are {len(prompt):,} tokens, and {self.name} takes {self.context_length:,}.",
                "Shorten them.",
                tokens=len(prompt),
                limit=self.context_length,
            )
        return prompt

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        stop: Sequence[str] = (),
        cancel_event: threading.Event | None = None,
        on_token: Callable[[], None] | None = None,
        **options: Any,
    ) -> list[list[int]]:
        """Return what follows each prompt, all computed at once; what the benchmarks measure.

        Args:
            prompts: tokens; shorter ones are padded on the left.
            stop: strings that end an answer, which keeps them.
            cancel_event: ends it between two tokens.
            on_token: called once for each step, the first when the first token is there; for one prompt only.
            options: of transformers' `generate`; greedy unless they say otherwise.

        Raises:
            HandlerError, OutOfMemory, Cancelled: as `generate`.
        """
        width = max(map(len, prompts))
        padding = self.tokenizer.pad_token_id
        padding = padding if padding is not None else self.tokenizer.eos_token_id or 0
        rows = [[padding] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        options = {"do_sample": False, "pad_token_id": padding, **options}
        if not options["do_sample"]:
            options |= {"temperature": None, "top_p": None, "top_k": None}
        with self._lock, inferring(self.name, str(self.device), "chat"):
            outputs = self.model.generate(
                input_ids=torch.tensor(rows, device=self.device),
                attention_mask=torch.tensor(mask, device=self.device),
                logits_processor=LogitsProcessorList([_Finite(self.name)]),
                stopping_criteria=StoppingCriteriaList([_Ending(self.tokenizer, width, stop, cancel_event)]),
                streamer=_Ticking(on_token) if on_token else None,
                **options,
            )
            answers = outputs[:, width:].tolist()
        if cancel_event is not None and cancel_event.is_set():
            raise Cancelled(f"The answer of {self.name} was cancelled.")
        return [_without_padding(answer, padding) for answer in answers]

    def _templated(self, messages: Sequence[dict[str, Any]], add_generation_prompt: bool) -> list[int]:
        try:
            if self.tokenizer.chat_template is None:
                raise HandlerError(
                    f"{self.name} has no chat template.", "It is a base model: name another handler, or none."
                )
            text = self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
            )
            tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        except WeighbridgeError:
            raise
        except Exception as error:
            raise HandlerError(
                f"The chat template of {self.name} fails: {type(error).__name__}: {str(error)[:200]}.",
                "Check the messages' roles; if they are right, its publisher has to mend the template.",
            ) from error
        return tokens


class _Finite(LogitsProcessor):  # type: ignore[misc]
    """Refuses logits that are no numbers: greedy decoding would make text of them all the same."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if torch.isnan(scores).any() or not torch.isfinite(scores).any(dim=-1).all():
            raise HandlerError(f"{self._name} computes NaN.", "Its weights are broken, or their type is too small.")
        return scores


class _Ending(StoppingCriteria):  # type: ignore[misc]
    """Ends all answers when cancelled, and one whose last tokens hold a stop string.

    transformers' own criterion takes tokens apart and fails on some vocabularies; reading the text works for all.
    """

    def __init__(self, tokenizer: Any, start: int, stop: Sequence[str], event: threading.Event | None) -> None:
        self._tokenizer, self._start, self._event = tokenizer, start, event
        self._stop = [word for word in stop if word]
        # A token may hold less than a letter: a stop string of n bytes has at most n of them, and one more begins it.
        self._reach = max((len(word.encode()) for word in self._stop), default=0) + 1

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        cancelled = self._event is not None and self._event.is_set()
        done = [cancelled or self._stops(row) for row in input_ids[:, self._start :]]
        return torch.tensor(done, device=input_ids.device, dtype=torch.bool)

    def _stops(self, row: torch.Tensor) -> bool:
        if not self._stop:
            return False
        text = self._tokenizer.decode(row[-self._reach :], skip_special_tokens=True)
        return any(word in text for word in self._stop)


class _Ticking(BaseStreamer):  # type: ignore[misc]
    """Calls back once a step; the first call of transformers hands over the prompt."""

    def __init__(self, on_token: Callable[[], None]) -> None:
        self._on_token, self._prompt = on_token, True

    def put(self, value: Any) -> None:
        if not self._prompt:
            self._on_token()
        self._prompt = False

    def end(self) -> None:
        pass


def _before_stop(text: str, stop: Sequence[str]) -> str:
    places = [place for word in stop if word and (place := text.find(word)) >= 0]
    return text[: min(places)] if places else text


def _without_padding(answer: list[int], padding: int) -> list[int]:
    end = len(answer)
    while end and answer[end - 1] == padding:
        end -= 1
    return answer[:end]
