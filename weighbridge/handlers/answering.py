"""One answer while it is generated: the text that is passed on, its end, and the result.

Not here: generating its tokens (generation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from typing import Any

from weighbridge.handlers.interface import ChatGeneration
from weighbridge.handlers.request import Wanted
from weighbridge.handlers.text_stream import HeldText, TokenText
from weighbridge.handlers.token_logprobs import TokenLogprobs
from weighbridge.handlers.tool_calls import CallFormat


class Answering:
    """An answer whose tokens arrive.

    Args:
        tokenizer: that of the model.
        ends: the tokens that end an answer.
        stop: the strings that end it.
        wanted: the options of the request.
        on_text: called with each piece of the text, as soon as it belongs to the answer; or None.
        calls: the format of the model's tool calls, or None.
    """

    def __init__(
        self,
        tokenizer: Any,
        ends: Set[int],
        stop: Sequence[str],
        wanted: Wanted,
        on_text: Callable[[str], None] | None,
        calls: CallFormat | None,
    ) -> None:
        self._tokenizer, self._ends, self._stop, self._calls = tokenizer, ends, stop, calls
        self._streams = on_text is not None
        # Text that may be a call is passed on only when it turns out not to be one.
        marks = [calls.mark] if calls and calls.mark else []
        self._held, self._pieces = HeldText([*stop, *marks], on_text or (lambda piece: None)), TokenText(self._text)
        self.logprobs = TokenLogprobs(wanted.top_logprobs) if wanted.logprobs else None
        self.tokens: list[int] = []
        self._calling = False

    def look(self, tokens: list[int]) -> None:
        """Process all tokens so far."""
        self.tokens[:] = tokens
        if self.logprobs is not None:
            self.logprobs.take(tokens)
        if self._streams and not self._begins_call(tokens):
            self._held.add(self._pieces.add(tokens))

    def whole(self, tokens: Sequence[int], prompt_tokens: int, reason: str) -> ChatGeneration:
        """Return the answer.

        Args:
            tokens: all tokens.
            prompt_tokens: the number of tokens of the prompt.
            reason: the finish reason, where neither a stop string nor the model ended it.
        """
        text, kept, stopped = self._before(tokens, self._stop)
        ended = stopped or (bool(tokens) and tokens[-1] in self._ends)
        reason = "stop" if ended else reason
        calls: tuple[dict[str, Any], ...] = ()
        thought = ""
        said = self._calls.read(self._marked(tokens[:kept])) if self._calls and reason == "stop" else None
        if self._calls and said is not None:
            calls, thought, reason = said.calls, said.reasoning, "tool_calls"
            text = self._before(tokens, [self._calls.mark])[0] if said.text is None else said.text
        self._held.finish(text)
        found = ChatGeneration(text, prompt_tokens, len(tokens), reason, thought, tool_calls=calls)
        if self.logprobs is None:
            return found
        self.logprobs.take(tokens)
        return replace(found, logprobs=self.logprobs.told(tokens[:kept], self._tokenizer))

    def _begins_call(self, tokens: Sequence[int]) -> bool:
        """Return whether a call has begun; its mark may be a special token, which has no text."""
        if self._calls is not None and not self._calling:
            last = tokens[-len(self._calls.mark.encode()) - 1 :]
            self._calling = self._calls.mark in self._marked(last)
        return self._calling

    def _before(self, tokens: Sequence[int], stop: Sequence[str]) -> tuple[str, int, bool]:
        """Return an answer's text up to the first stop string, its tokens, and whether there is one.

        A stop string may be a special token, which has no text.
        """
        kept = len(tokens) - (bool(tokens) and tokens[-1] in self._ends)
        text = self._text(tokens)
        places = [place for word in stop if (place := text.find(word)) >= 0]
        if places:
            text = text[: min(places)]
            while kept and self._text(tokens[: kept - 1]).startswith(text):
                kept -= 1
            return text, kept, True
        marked = self._marked(tokens)
        places = [place for word in stop if (place := marked.find(word)) >= 0]
        if not places:
            return text, kept, False
        kept = len(tokens)
        while kept and len(self._marked(tokens[:kept])) > min(places):
            kept -= 1
        return self._text(tokens[:kept]), kept, True

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))

    def _marked(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False))
