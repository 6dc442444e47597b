"""Text chat through transformers, from safetensors or GGUF. Not here: messages with images (vision)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from weighbridge.errors import HandlerError, WeighbridgeError
from weighbridge.handlers.batching import Asked, Batching, OnAnswer
from weighbridge.handlers.conversion import converted, merged
from weighbridge.handlers.generation import Generation
from weighbridge.handlers.generation_settings import GenerationSettings
from weighbridge.handlers.inference import inferring
from weighbridge.handlers.interface import ChatGeneration, ChatRequest, Device
from weighbridge.handlers.local_model import LocalModel
from weighbridge.handlers.pretrained import load_model, load_processor, locate
from weighbridge.handlers.request import shared_sampling, template_options, text_messages, wanted
from weighbridge.handlers.tool_calls import call_format, offered


class TextChat(LocalModel):
    """A chat model; calls are made one after another, under a lock.

    Args:
        hf_repo_id: a repository in the cache, or a folder.
        device: the device it runs on.
        cache_dir: the Hugging Face cache; huggingface_hub's default when None.
        kwargs: `name`, `generation_defaults`, `dtype`, `gguf_file`, and the other options of `locate`.

    Raises:
        HandlerError, OutOfMemory: it cannot be loaded.
    """

    capabilities = ["chat-completion"]
    options = ["dtype", "gguf_file"]

    def __init__(self, hf_repo_id: str, device: Device, cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, kwargs)
        place = converted(locate(hf_repo_id, cache_dir, kwargs), AutoModelForCausalLM)
        with merged(place) as whole:
            self.tokenizer = load_processor(AutoTokenizer, whole)
            self.model = load_model(AutoModelForCausalLM, whole, device)
        self._words = threading.Lock()
        self._generation = Generation(self.name, device, self.model, self.tokenizer, self.turns)
        self._batching = Batching(self._generation)
        self.supports_structured_outputs = not self._generation.structures.missing

    @property
    def generation_settings(self) -> GenerationSettings:
        """Return the settings of the publisher's generation_config.json that apply, and those that are overridden."""
        return self._generation.settings

    @property
    def context_length(self) -> int:
        """Return the most tokens of prompt and answer together."""
        return self._generation.context_length

    def generate(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        stop: str | list[str] | None = None,
        cancel_event: threading.Event | None = None,
        **options: Any,
    ) -> ChatGeneration:
        """Answer messages.

        Args:
            messages: in OpenAI's form, only text.
            max_new_tokens: the most tokens of the answer.
            temperature: 0 chooses the most likely tokens.
            top_p: the share of the most likely tokens that may be sampled.
            stop: the strings that end the answer.
            cancel_event: ends it; the text so far is returned, with the reason `cancelled`.
            options: `top_k`, `seed`, `presence_penalty`, `frequency_penalty`, `logprobs`, `top_logprobs`,
                `response_format`; `tools` in OpenAI's form and `chat_template_kwargs`, for the model's own template.

        Raises:
            InvalidRequest: the messages or an option are invalid, or the messages are too long.
            HandlerError: the template fails, or the model computes NaN.
            OutOfMemory: the device is too small.
            Cancelled: `cancel_event` was set before there was a token.
        """
        options |= {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "stop": stop}
        return self.stream(messages, cancel_event=cancel_event, **options)

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        on_text: Callable[[str], None] | None = None,
        cancel_event: threading.Event | None = None,
        **options: Any,
    ) -> ChatGeneration:
        """Answer messages and call back with each piece of the text; otherwise as `generate`.

        A piece has whole characters, and no possible beginning of a stop string; together they are the answer's text.
        """
        asked = self._asked(ChatRequest(messages, options, cancel_event, on_text))
        return self._generation.answer(
            asked.prompt, asked.wanted, calls=asked.calls, cancel_event=cancel_event, on_text=on_text
        )

    def generate_many(self, requests: Sequence[ChatRequest], on_answer: OnAnswer) -> None:
        """Answer several requests, those together whose sampling is the same; each as `stream` answers it.

        Args:
            requests: the requests.
            on_answer: called once for each request, as soon as it is answered, with its place and its answer, or the
                error that `stream` would raise.
        """
        alike: dict[tuple[Any, ...], dict[int, Asked]] = {}
        for place, request in enumerate(requests):
            try:
                asked = self._asked(request)
            except WeighbridgeError as error:
                on_answer(place, error)
            else:
                alike.setdefault(shared_sampling(request.options) or ("alone", place), {})[place] = asked
        for group in alike.values():
            self._batching.answer(group, on_answer)

    def count_tokens(self, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool = True) -> int:
        """Return the number of tokens of the messages in the model's own template. Raises HandlerError."""
        return len(self._encoded(self._templated(messages, add_generation_prompt)))

    def encode(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """Return the tokens of the messages and of the beginning of an answer.

        Raises:
            InvalidRequest: there is no room for an answer.
            HandlerError: the template fails.
        """
        prompt = self._encoded(self._templated(messages, True))
        self._generation.check_room(prompt)
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
        """Return the continuation of each prompt, in one batch; the benchmarks measure this method.

        Args:
            prompts: their tokens; shorter ones are padded on the left.
            stop: the strings that end an answer, which keeps them.
            cancel_event: ends it between two tokens.
            on_token: called after each step, the first time with the first token; only for a single prompt.
            options: those of transformers' `generate`; greedy by default.

        Raises:
            HandlerError, OutOfMemory, Cancelled: as `generate`.
        """
        return self._generation.complete(prompts, stop=stop, cancel_event=cancel_event, on_token=on_token, **options)

    def _asked(self, request: ChatRequest) -> Asked:
        """Return the prompt of a request. Raises InvalidRequest or HandlerError."""
        options = dict(request.options)
        template = template_options(self.name, options)
        asked = wanted(self.name, options)
        text = self._templated(request.messages, True, template)
        prompt = self._encoded(text)
        self._generation.check_room(prompt)
        calls = call_format(self.tokenizer, self.tokenizer.chat_template, template.get("tools", ()), text)
        return Asked(prompt, asked, calls, request.cancel_event, request.on_text)

    def _templated(
        self,
        messages: Sequence[dict[str, Any]],
        add_generation_prompt: bool,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        plain = text_messages(messages, self.name)

        def render(options: Mapping[str, Any]) -> str:
            made = self.tokenizer.apply_chat_template(
                plain, tokenize=False, add_generation_prompt=add_generation_prompt, **options
            )
            return str(made)

        try:
            if self.tokenizer.chat_template is None:
                raise HandlerError(
                    f"{self.name} has no chat template.", "It is a base model: name another handler, or none."
                )
            return offered(self.name, render, options)
        except WeighbridgeError:
            raise
        except Exception as error:  # a template is an untrusted program
            raise HandlerError(
                f"The chat template of {self.name} fails: {type(error).__name__}: {str(error)[:200]}.",
                "Check the messages' roles; if they are right, its publisher has to correct the template.",
            ) from error

    def _encoded(self, text: str) -> list[int]:
        with self._words, inferring(self.name, "the tokenizer", "chat"):
            tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return tokens
