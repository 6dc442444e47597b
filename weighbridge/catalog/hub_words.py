"""Indexes of words: which models may have a word in their name or among their tags, before each is looked at.

SQLite has a full-text index of pieces that are cut here: three characters each of a name, and a character for each tag,
so that one index narrows words and filters together. PostgreSQL has its own trigrams of names (pg_trgm) and an index
of the tags. Both give out all models that match and maybe more. Not here: the tests that decide (hub_search).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from weighbridge.catalog.hub_strings import StringTable, character
from weighbridge.domain.hub_models import NAMING_TAGS

#: A word that more texts have is common: its models are found by looking at rows.
MOST_TEXTS = 400
#: How many pieces of a word narrow a search; more make it slower.
_MOST_PIECES = 24
#: What the names of repositories consist of besides letters and digits is one character to the index, and any other
#: sign of ASCII, which hardly any name has, is another one.
_USUAL, _ODD = "_", "\u00ac"
_PLAIN = {code: (chr(code) if chr(code).isalnum() else _USUAL if chr(code) in "-._/" else _ODD) for code in range(0x80)}


def folded(text: str) -> str:
    """Return a text in lower case as both databases see it: ASCII's letters alone."""
    return text.lower() if text.isascii() else text.encode("utf-8", "replace").lower().decode()


def _plain(text: str) -> str:
    return folded(text).translate(_PLAIN)


def model_document(id_: str, tags: str, facets: Iterable[str]) -> str:
    """Return what SQLite's index gets of a model: pieces of its name, its tags, and other marks."""
    name = f"{_plain(id_)}__"
    pieces = {name[at : at + 3] for at in range(len(name) - 2)}
    return " ".join((*pieces, *split_tags(tags), *facets))


def describes(text: str) -> bool:
    """Return whether words are looked for in a text: it does not name another repository, or a paper."""
    return not text.startswith(NAMING_TAGS)


def string_document(text: str) -> str:
    """Return what SQLite's index gets of a text that describes models."""
    name = _plain(text)
    return " ".join({name[at : at + 3] for at in range(len(name) - 2)})


def split_tags(tags: str) -> Iterable[str]:
    """Return the tags of a model, a character or two each."""
    if not tags or max(tags) < "\U000f0000":
        return tags
    parts, lead = [], ""
    for one in tags:
        if one >= "\U00100000":
            lead = one
        else:
            parts.append(lead + one)
            lead = ""
    return parts


def author_mark(author: str) -> str:
    """Return the mark of a model's author."""
    return f"_a_{_plain(author)}"


def marks(author: str, library: int | None, licence: int | None, gated: int | None) -> Iterable[str]:
    """Return the marks of a model by which it is found, besides its tags."""
    if author:
        yield author_mark(author)
    if library is not None:
        yield library_mark(library)
    if licence is not None:
        yield licence_mark(licence)
    if gated:
        yield gated_mark(gated)


def library_mark(number: int) -> str:
    """Return the mark of a library."""
    return f"_y{character(number)}"


def licence_mark(number: int) -> str:
    """Return the mark of a licence."""
    return f"_l{character(number)}"


def gated_mark(place: int) -> str:
    """Return the mark of a gated state that is neither public nor unknown."""
    return f"_g_{place}"


@dataclass(frozen=True)
class Word:
    """A word of a search.

    Attributes:
        text: in lower case.
        texts: the numbers of the texts that have it; None where there are more than `MOST_TEXTS`.
    """

    text: str
    texts: tuple[int, ...] | None

    @property
    def match(self) -> str:
        """The expression of SQLite's index for it; empty where the index does not narrow it down."""
        pieces = _name_match(self.text)
        if not pieces or self.texts is None:
            return ""
        return " OR ".join((f"({pieces})", *(f'"{character(number)}"' for number in self.texts)))


def look_up(connection: Connection, word: str, strings: StringTable) -> Word:
    """Return a word with the texts that have it; one of one or two letters is a whole text or none.

    A text that names another repository counts as a whole as well.
    """
    whole = strings.numbers(connection, [word]).values()
    if len(word) < 3:
        return Word(word, tuple(whole))
    parameters = {"word": word, "most": MOST_TEXTS + 1}
    if connection.dialect.name == "postgresql":
        # The condition of its index, word for word; the migration has it too.
        described = "text !~ '^(base_model|dataset|arxiv|doi):'"
        has_it = "lower(text) LIKE :word ESCAPE '!'"
        query = f"SELECT number FROM hub_strings WHERE {described} AND {has_it} LIMIT :most"  # noqa: S608
        parameters["word"] = like(word)
    else:
        query = (
            "SELECT s.number FROM hub_string_words w CROSS JOIN hub_strings s ON s.number = w.rowid "
            "WHERE hub_string_words MATCH :match AND instr(lower(s.text), :word) LIMIT :most"
        )
        parameters["match"] = _pieces_match(_plain(word))
    numbers = tuple(connection.execute(text(query), parameters).scalars())
    return Word(word, tuple(dict.fromkeys((*numbers, *whole))) if len(numbers) <= MOST_TEXTS else None)


def like(word: str) -> str:
    """Return the pattern of LIKE, with `!` as its escape, for texts that have a word."""
    for special in "!%_":
        word = word.replace(special, f"!{special}")
    return f"%{word}%"


def quoted(marks: Sequence[str]) -> str:
    """Return the expression of SQLite's index for models that have any of these marks."""
    return "(" + " OR ".join(f'"{mark}"' for mark in marks) + ")"


def _name_match(word: str) -> str:
    plain = _plain(word)
    if len(plain) >= 3:
        return _pieces_match(plain)
    if set(plain) == {_USUAL} or (len(plain) == 1 and plain.isascii()):
        return ""  # Most names have it.
    return f'"{plain}" *'


def _pieces_match(plain: str) -> str:
    pieces = dict.fromkeys(plain[at : at + 3] for at in range(len(plain) - 2))
    return " AND ".join(f'"{piece}"' for piece in list(pieces)[:_MOST_PIECES])
