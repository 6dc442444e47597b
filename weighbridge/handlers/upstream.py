"""Handlers that forward the work to an OpenAI-compatible service; nothing is loaded here.

In models.yaml: `handler: weighbridge.handlers.upstream.UpstreamChat`, `upstream_base_url`, `upstream_api_key_env`,
`skip_download: true`; `hf_repo_id` is the model's name there. The claims of a service are checked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from weighbridge.errors import Cancelled, HandlerError, InvalidRequest
from weighbridge.handlers.interface import ChatGeneration, Device, TokenLogprob
from weighbridge.handlers.request import (
    asks_for_form,
    check_one,
    check_penalties_and_logprobs,
    check_sampling,
    stop_strings,
    whole_number,
)
from weighbridge.handlers.text_stream import HeldText
from weighbridge.handlers.upstream_service import UpstreamService
from weighbridge.handlers.upstream_speech import UpstreamSpeech as UpstreamSpeech
from weighbridge.handlers.upstream_texts import UpstreamEmbedding as UpstreamEmbedding
from weighbridge.handlers.upstream_texts import UpstreamRerank as UpstreamRerank
from weighbridge.net.openai.chat_answers import ChatAnswer, NoChatAnswer
from weighbridge.net.openai.dialect import Dialect

#: The most characters of a token; the longest known ones are runs of spaces.
_TOKEN_SIZE = 1024
#: A token's logprob where it is never chosen.
_NEVER = -9999.0
#: The most tokens of an answer beyond the request: some services count hidden reasoning, which has no limit.
_MAX_HIDDEN = 2**20


class UpstreamChat(UpstreamService):
    """Chat at a service; with `supports_structured_outputs` also in the form of a `response_format`."""

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
        self._dialect = Dialect()

    @property
    def not_taken(self) -> frozenset[str]:
        """Return the parameters that the service has refused, such as `top_p`; it uses its own values for them."""
        return self._dialect.refused

    def generate(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        stop: str | list[str] | None = None,
        cancel_event: threading.Event | None = None,
        response_format: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> ChatGeneration:
        """Answer messages.

        Args:
            messages: in OpenAI's form, passed on unchanged.
            max_new_tokens: the most tokens of the answer.
            temperature: 0 for the most likely answer; ignored where the service refuses it (`not_taken`).
            top_p: the share of the most likely tokens that may be sampled.
            stop: the strings that end the answer, at the service or, where it takes none, here.
            cancel_event: ends it.
            response_format: the form of the answer, as in OpenAI's protocol.
            options: further fields of the request: `seed`, `tools`, `tool_choice`, `logit_bias`, …

        Raises:
            InvalidRequest: an option is invalid, or the service blames the request.
            HandlerError: the service fails, or its response is invalid.
            Cancelled: `cancel_event` was set; the connection is closed.
        """
        return self.stream(
            messages,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            stop=stop,
            cancel_event=cancel_event,
            response_format=response_format,
            **options,
        )

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        on_token: Callable[[], None] | None = None,
        on_text: Callable[[str], None] | None = None,
        **options: Any,
    ) -> ChatGeneration:
        """Answer messages and call back for each piece, also of reasoning, and with each text; else as `generate`."""
        cancel_event = options.pop("cancel_event", None)
        check_sampling(max_new_tokens, temperature, top_p)
        stop = stop_strings(options.pop("stop", None))
        self._check(options)
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "max_tokens": max_new_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "stream_options": {"include_usage": True},
        }
        body |= {name: value for name, value in {"stop": stop, **options}.items() if value not in (None, [])}
        while True:
            sent = self._dialect.adapted(body)
            try:
                listening = _Listening(() if "stop" in sent else stop, on_token, on_text)
                return self._answer(sent, max_new_tokens, listening, cancel_event)
            except InvalidRequest as error:
                if not self._dialect.learn(error, sent):
                    raise

    def count_tokens(self, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool = True) -> int:
        """Return the service's count for an answer of one token, as OpenAI's protocol has no other request for it."""
        counted = self.generate(messages, max_new_tokens=1, temperature=0.0, top_p=1.0).prompt_tokens
        if counted is None:
            raise HandlerError(f"{self.device} does not count the tokens of {self.name}.", "Count them elsewhere.")
        return counted

    def _answer(
        self, body: Mapping[str, Any], most: int, listening: _Listening, cancel_event: threading.Event | None
    ) -> ChatGeneration:
        answer, cancelled = ChatAnswer(), False
        try:
            for event in self._endpoint.stream("/chat/completions", body, cancel_event):
                self._add(answer, event, most, listening)
        except Cancelled:
            if not answer.size and not answer.reasoning:
                raise
            cancelled = True
        if answer.finish_reason == "error":
            raise HandlerError(f"{self.device} interrupted its answer.", "Look at its log.", transient=True)
        if not answer.finish_reason and not cancelled:
            raise self.wrong("a stream without a reason for its end: half an answer")
        text, stopped = listening.finish(answer.text)
        reason = "stop" if stopped else answer.finish_reason or "cancelled"
        prompt = self._tokens(answer, "prompt_tokens", 2**31)
        completion = self._tokens(answer, "completion_tokens", most + _MAX_HIDDEN)
        if answer.size and completion == 0:
            raise self.wrong("a text of no tokens by its own count")
        return ChatGeneration(
            text,
            prompt,
            completion,
            reason,
            answer.reasoning,
            answer.refusal,
            answer.tool_calls,
            self._logprobs(answer, text, stopped) if body.get("logprobs") else (),
        )

    def _add(self, answer: ChatAnswer, event: Mapping[str, Any], most: int, listening: _Listening) -> None:
        try:
            piece = answer.add(event)
        except NoChatAnswer as error:
            raise self.wrong(str(error)) from error
        if answer.size > _TOKEN_SIZE * most or len(answer.logprobs) > most + _MAX_HIDDEN:
            raise self.wrong(f"more text than {most} tokens can have")
        if piece is not None:
            listening.hear(piece)

    def _check(self, options: Mapping[str, Any]) -> None:
        """Raise InvalidRequest for options that are invalid, or that this service is not configured for."""
        check_one(options.get("n"))
        check_penalties_and_logprobs({key: value for key, value in options.items() if value is not None})
        if asks_for_form(options.get("response_format")) and not self.supports_structured_outputs:
            raise InvalidRequest(
                f"{self.name} is not configured to answer in a required form.",
                "Write supports_structured_outputs: true in models.yaml if its service does.",
            )

    def _logprobs(self, answer: ChatAnswer, text: str, stopped: bool) -> tuple[TokenLogprob, ...]:
        """Return the logprobs of a text's tokens; a service that sends none, as requested, is an error."""
        try:
            found = [_logprob(entry) for entry in answer.logprobs]
        except (KeyError, TypeError, ValueError) as error:
            raise self.wrong("logprobs in an unknown form") from error
        if text and not found:
            raise self.wrong("no logprobs, which were requested")
        whole = len(text.encode()) if stopped else len(found) * _TOKEN_SIZE
        size, kept = 0, 0
        while kept < len(found) and size < whole:
            size, kept = size + len(found[kept].content or found[kept].token.encode()), kept + 1
        return tuple(found[:kept])

    def _tokens(self, answer: ChatAnswer, key: str, most: int) -> int | None:
        """Return the token count of the service; an impossible one is an error, as prices and speeds depend on it."""
        stated = answer.usage.get(key)
        if stated is None:
            return None
        if not whole_number(stated) or not 0 <= stated <= most:
            raise self.wrong(f"{key} of {str(stated)[:40]!r}, at most {most:,} are possible")
        return stated


def _logprob(entry: Mapping[str, Any]) -> TokenLogprob:
    """Return a token's entry of OpenAI's protocol. Raises KeyError, TypeError, ValueError."""
    logprob, content = float(entry["logprob"]), entry.get("bytes")
    if not isinstance(entry["token"], str) or not logprob <= 0:
        raise ValueError("no token, or no logarithm of a probability")
    known = tuple(bytes(content)) if content is not None else None
    return TokenLogprob(
        entry["token"], max(logprob, _NEVER), known, tuple(map(_logprob, entry.get("top_logprobs") or ()))
    )


class _Listening:
    """The receivers of an answer's pieces, and the stop strings that its service does not take.

    Args:
        stop: the strings that end the answer here.
        on_token: called for each piece.
        on_text: called with each piece of text that belongs to the answer.
    """

    def __init__(
        self, stop: Sequence[str], on_token: Callable[[], None] | None, on_text: Callable[[str], None] | None
    ) -> None:
        self._stop, self._on_token = stop, on_token or (lambda: None)
        self._held = HeldText(stop, on_text or (lambda piece: None))

    def hear(self, piece: str) -> None:
        self._on_token()
        self._held.add(piece)

    def finish(self, text: str) -> tuple[str, bool]:
        """Return a whole text up to the first stop string, and whether there is one."""
        places = [place for word in self._stop if (place := text.find(word)) >= 0]
        text = text[: min(places)] if places else text
        self._held.finish(text)
        return text, bool(places)
