"""The text of an answer while it is generated: whole characters, and no possible beginning of a stop string.

Not here: the source of the tokens (generation), or of pieces of text (upstream).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: The text that a tokenizer writes for an incomplete character.
HALF = "\ufffd"


class HeldText:
    """Passes text on as it arrives, except an end that may begin a stop string, and everything after one.

    Args:
        stop: the strings that end the answer.
        on_text: called with each piece of text, never with an empty one.
    """

    def __init__(self, stop: Sequence[str], on_text: Callable[[str], None]) -> None:
        self._stop, self._on_text = stop, on_text
        self._held = ""
        self._handed = 0
        self._ended = False

    def add(self, text: str) -> None:
        """Add the next text."""
        if self._ended:
            return
        self._held += text
        places = [place for word in self._stop if (place := self._held.find(word)) >= 0]
        if places:
            self._ended = True
            self._hand_on(min(places))
        else:
            self._hand_on(len(self._held) - self._begun())

    def finish(self, text: str) -> None:
        """Pass on the rest of the whole text."""
        self._held, self._ended = text[self._handed :], True
        self._hand_on(len(self._held))

    def _begun(self) -> int:
        """Return how many of the last characters may begin a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(word.startswith(self._held[-size:]) for word in self._stop):
                return size
        return 0

    def _hand_on(self, size: int) -> None:
        piece, self._held = self._held[:size], self._held[size:]
        self._handed += len(piece)
        if piece:
            self._on_text(piece)


class TokenText:
    """Converts tokens that arrive one after another to text.

    A token's text depends on the one before it, so that the last ones are decoded again with each new one.

    Args:
        decode: returns the text of tokens.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._start = self._read = 0

    def add(self, tokens: Sequence[int]) -> str:
        """Return the new text of all tokens so far; empty while a character is incomplete."""
        before, now = self._decode(tokens[self._start : self._read]), self._decode(tokens[self._start :])
        if len(now) <= len(before) or now.endswith(HALF):
            return ""
        self._start, self._read = self._read, len(tokens)
        return now[len(before) :]
