"""The texts that many models share, such as tags: each is stored once, and its number is written as a character.

A model's 15 tags are then a text of 15 characters, two or three bytes each. Not here: finding texts by their parts
(catalog.hub_words).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from weighbridge.catalog.column_types import storable
from weighbridge.catalog.hub_tables import strings
from weighbridge.catalog.hub_writing import in_list, insert_rows

#: Characters for numbers begin behind ASCII, so that none has a meaning in patterns, and leave surrogates out.
_FIRST, _SURROGATES, _SURROGATE_COUNT = 0x80, 0xD800, 0x800
#: From this code point on, two characters are one number: the first one is of the upper range, the second of the lower.
_SECONDS, _LEADS = 0xF0000, 0x100000
_SINGLES = _SECONDS - _SURROGATE_COUNT - _FIRST
_BLOCK = 0x10000
#: PostgreSQL's indexes take up to 2,700 bytes a text.
MOST_CHARACTERS = 500
#: How many texts a process remembers.
_MOST_KNOWN = 300_000


def character(number: int) -> str:
    """Return what stands for a number: a character, or two where the number is very great."""
    if number < _SINGLES:
        code = _FIRST + number
        return chr(code if code < _SURROGATES else code + _SURROGATE_COUNT)
    high, low = divmod(number - _SINGLES, _BLOCK - 2)  # The last two code points of a plane are no characters.
    return chr(_LEADS + high) + chr(_SECONDS + low)


def numbers(characters: str) -> list[int]:
    """Return the numbers that a text of such characters stands for."""
    found, lead = [], -1
    for code in map(ord, characters):
        if code >= _LEADS:
            lead = code - _LEADS
        elif code >= _SECONDS:
            found.append(_SINGLES + lead * (_BLOCK - 2) + code - _SECONDS)
        else:
            found.append(code - _FIRST - (_SURROGATE_COUNT if code > _SURROGATES else 0))
    return found


def bounded(text: str) -> str:
    """Return a text as it can be stored and indexed."""
    return storable(text[:MOST_CHARACTERS])


class StringTable:
    """The numbers of texts, of which those that were used lately are kept in memory; safe for threads.

    A text never changes its number, so that what is kept stays right whatever other processes add.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}

    def learn(self, known: dict[str, int]) -> None:
        """Keep numbers that are in the database for good."""
        if len(self._numbers) + len(known) > _MOST_KNOWN:
            self._numbers, self._texts = {}, {}
        self._numbers.update(known)
        self._texts.update({number: text for text, number in known.items()})

    def numbers(self, connection: Connection, texts: Iterable[str]) -> dict[str, int]:
        """Return the numbers of those texts that have one."""
        kept = self._numbers
        wanted = set(texts)
        found = {text: kept[text] for text in wanted if text in kept}
        missing = [text for text in wanted if text not in found]
        if missing:
            rows = in_list(connection, "SELECT number, text FROM hub_strings WHERE text IN :values", missing)
            fresh = {str(text): int(number) for number, text in rows}
            found |= fresh
        return found

    def texts(self, connection: Connection, wanted: Iterable[int]) -> dict[int, str]:
        """Return the texts of numbers."""
        kept = self._texts
        distinct = set(wanted)
        found = {number: kept[number] for number in distinct if number in kept}
        missing = [number for number in distinct if number not in found]
        if missing:
            rows = in_list(connection, "SELECT number, text FROM hub_strings WHERE number IN :values", missing)
            fresh = {int(number): str(text) for number, text in rows}
            found |= fresh
            self.learn({text: number for number, text in fresh.items()})
        return found


def add_strings(connection: Connection, greatest: int, texts: Sequence[str]) -> dict[str, int]:
    """Give texts that have no number the next ones after the greatest, in a transaction of the only writer."""
    fresh = {text: greatest + place for place, text in enumerate(texts, 1)}
    insert_rows(connection, strings, ("number", "text"), [(number, text) for text, number in fresh.items()])
    return fresh
