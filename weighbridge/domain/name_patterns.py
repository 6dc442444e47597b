"""Patterns of names, as keys and subscriptions have them: `*` for any text, `?` for a letter, `[ab]` for one of some.

They mean what they mean to `fnmatch`. That makes a regular expression of each pattern, which takes a millisecond where
people wrote many stars; a change of the catalog, however, compares a name with the patterns of every subscription while
other writers wait. Not here: which patterns somebody may write (domain.access).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_TOKENS = re.compile(r"\*+|\?|\[!?\]?[^]]*\]|.", re.DOTALL)


def matches(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern, in time that grows with the length of both and no faster."""
    if "?" in pattern or "[" in pattern:
        return _matches_tokens(name, pattern)
    first, *others = pattern.split("*")
    if not others:
        return name == pattern
    *inner, last = others
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in inner:  # The first place of each is the best one: it leaves most of the name for the others.
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name matches one of some patterns; without any, every name does."""
    patterns = tuple(patterns)
    return not patterns or any(matches(name, pattern) for pattern in patterns)


def _matches_tokens(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern, of which all beginnings that match so far are the bits of a number."""
    tokens, stars = _tokens(pattern)
    state = 1  # Bit n: the first n tokens match what was read.
    accepted: dict[str, int] = {}
    for letter in name:
        if letter not in accepted:
            accepted[letter] = sum(1 << n for n, token in enumerate(tokens) if _accepts(token, letter))
        state = (state & accepted[letter]) << 1 | state & stars
        if not state:
            return False
    return bool(state >> len(tokens) & 1)


@lru_cache(maxsize=1024)
def _tokens(pattern: str) -> tuple[tuple[str, ...], int]:
    """Return the tokens that stand for one letter each, and before which of them there is a star, as bits."""
    tokens: list[str] = []
    stars = 0
    for token in _TOKENS.findall(pattern):
        if token[0] == "*":
            stars |= 1 << len(tokens)
        else:
            tokens.append(token)
    return tuple(tokens), stars


def _accepts(token: str, letter: str) -> bool:
    if len(token) == 1:
        return token in ("?", letter)
    content = token[1:-1]
    wanted = not content.startswith("!")
    content = content.removeprefix("!")
    at = 0
    while at < len(content):
        if content[at + 1 : at + 2] == "-" and at + 2 < len(content):
            if content[at] <= letter <= content[at + 2]:
                return wanted
            at += 3
        elif content[at] == letter:
            return wanted
        else:
            at += 1
    return not wanted
