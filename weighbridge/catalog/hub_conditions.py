"""What a search of the Hub's models asks for, as conditions of SQL and of the index of words.

Not here: in which order rows are looked at (catalog.hub_search).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from weighbridge.catalog.column_types import storable
from weighbridge.catalog.hub_rows import GATED
from weighbridge.catalog.hub_strings import MOST_CHARACTERS, StringTable, bounded, character
from weighbridge.catalog.hub_words import (
    Word,
    author_mark,
    folded,
    gated_mark,
    library_mark,
    licence_mark,
    like,
    look_up,
    quoted,
)
from weighbridge.domain.hub_models import Gated, HubQuery

#: How many words of a search the index is asked for; the others are looked for in the rows that it gives.
_MOST_INDEXED = 12
#: No model has more of them.
_MOST_WORDS = 100


@dataclass
class Conditions:
    """What the rows of a search fulfil.

    Attributes:
        figures: conditions on a row of `hub_figures` (f).
        models: conditions on a row of `hub_models` (m).
        exact: those of them that the index of SQLite decides without a look at the rows.
        match: expressions of SQLite's index, all of which hold.
        indexed: conditions on `hub_models` for which PostgreSQL has an index.
        ranges: those of `figures` that limit a column, by column.
        parameters: values of the conditions.
        common: words that are looked for by Python, as too many texts have them.
        nothing: whether no row can fulfil them.
    """

    figures: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    exact: set[str] = field(default_factory=set)
    match: list[str] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)
    ranges: dict[str, list[str]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    common: tuple[str, ...] = ()
    nothing: bool = False

    def bind(self, value: Any) -> str:
        """Return the placeholder of a value."""
        name = f"c{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"


def conditions(connection: Connection, query: HubQuery, strings: StringTable) -> Conditions:
    """Return what the rows of a query fulfil, without its order and its cursor."""
    found = Conditions()
    local = connection.dialect.name == "sqlite"
    if not query.include_vanished:
        found.figures.append("f.vanished_at IS NULL")
    _add_tags(found, connection, query, strings, local)
    _add_facets(found, connection, query, strings)
    _add_gated(found, query.gated)
    _add_author(found, query.author)
    for column, comparison, value in (
        ("f.parameters", ">=", query.min_parameters),
        ("f.parameters", "<=", query.max_parameters),
        ("f.memory_size", "<=", query.max_memory_size),
    ):
        if value is not None:
            condition = f"{column} {comparison} {found.bind(min(max(value, 0), 2**62))}"
            found.figures.append(condition)
            found.ranges.setdefault(column, []).append(condition)
    words = dict.fromkeys(folded(storable(query.search)).split())
    if len(words) > _MOST_WORDS or any(len(word) > MOST_CHARACTERS for word in words):
        found.nothing = True
        return found
    found.common = tuple(words)[_MOST_INDEXED:]
    for text in tuple(words)[:_MOST_INDEXED]:
        _add_word(found, look_up(connection, text, strings), local)
    return found


def _add_tags(found: Conditions, connection: Connection, query: HubQuery, strings: StringTable, local: bool) -> None:
    for tag in query.filters:
        known = strings.numbers(connection, {bounded(tag), folded(bounded(tag))})
        if not known:
            found.nothing = True
            continue
        characters = [character(number) for number in known.values()]
        condition = _has_any(found, characters, local)
        found.models.append(condition)
        found.exact.add(condition)
        found.match.append(quoted(characters))
        found.indexed.append(condition)


def _has_any(found: Conditions, characters: Iterable[str], local: bool) -> str:
    """Return the condition that a model has one of some tags."""
    single = [one for one in characters if len(one) == 1]
    double = [one for one in characters if len(one) > 1]
    contains = "instr(m.tags, {})" if local else "position({} IN m.tags)"
    parts = [f"{contains.format(found.bind(one))} > 0" for one in double]
    if not local:  # The index has the two characters of such a tag as tags of their own.
        parts = [
            f"(string_to_array(m.tags, NULL) @> CAST({found.bind(list(one))} AS text[]) AND {part})"
            for one, part in zip(double, parts, strict=True)
        ]
    if local and len(single) == 1:
        parts.append(f"{contains.format(found.bind(single[0]))} > 0")
    elif local and single:
        parts.append(f"m.tags GLOB {found.bind('*[' + ''.join(single) + ']*')}")
    elif single:
        parts.append(f"string_to_array(m.tags, NULL) && CAST({found.bind(single)} AS text[])")
    return "(" + " OR ".join(parts) + ")"


def _add_facets(found: Conditions, connection: Connection, query: HubQuery, strings: StringTable) -> None:
    for column, text, mark in (
        ("f.library", query.library, library_mark),
        ("f.licence", query.licence, licence_mark),
    ):
        if not text:
            continue
        known = sorted(strings.numbers(connection, {bounded(text), folded(bounded(text))}).values())
        if not known:
            found.nothing = True
            continue
        condition = f"{column} IN ({', '.join(found.bind(number) for number in known)})"
        found.figures.append(condition)
        found.exact.add(condition)
        found.match.append(quoted([mark(number) for number in known]))


def _add_gated(found: Conditions, wanted: tuple[Gated, ...]) -> None:
    if not wanted:
        return
    places = sorted({GATED.index(state) for state in wanted if state is not Gated.UNKNOWN})
    parts = [f"f.gated IN ({', '.join(map(str, places))})"] if places else []
    if Gated.UNKNOWN in wanted:
        parts.append("f.gated IS NULL")
    condition = f"({' OR '.join(parts)})"
    found.figures.append(condition)
    if not {Gated.NO, Gated.UNKNOWN} & set(wanted):
        found.exact.add(condition)
        found.match.append(quoted([gated_mark(place) for place in places]))


def _add_author(found: Conditions, author: str) -> None:
    if not author:
        return
    key = folded(bounded(author))
    # The slash of an id is followed by its name; "0" is the character behind the slash.
    condition = f"(lower(m.id) >= {found.bind(f'{key}/')} AND lower(m.id) < {found.bind(f'{key}0')})"
    found.models.append(condition)
    found.match.append(quoted([author_mark(author)]))
    found.indexed.append(condition)


def _add_word(found: Conditions, word: Word, local: bool) -> None:
    if word.texts is None:
        found.common += (word.text,)
        return
    placeholder = found.bind(word.text)
    in_name = f"instr(lower(m.id), {placeholder}) > 0" if local else f"position({placeholder} IN lower(m.id)) > 0"
    characters = [character(number) for number in word.texts]
    in_tags = _has_any(found, characters, local) if characters else ""
    found.models.append(f"({in_name} OR {in_tags})" if in_tags else f"{in_name}")
    if word.match:
        found.match.append(f"({word.match})")
    if not local and (pattern := _indexed_pattern(found, word.text)):
        found.indexed.append(f"({pattern} OR {in_tags})" if in_tags else pattern)


def _indexed_pattern(found: Conditions, word: str) -> str:
    """Return the condition for which PostgreSQL has an index; empty where a word has no three letters in a row."""
    runs = "".join(one if one.isascii() and one.isalnum() else " " for one in word).split()
    pattern = f"lower(m.id) LIKE {found.bind(like(word))} ESCAPE '!'"
    if any(len(run) >= 3 for run in runs):
        return pattern
    if any(not (one.isascii() and (one.isalnum() or one in "-._/")) for one in word):
        return f"(m.id ~ '[^A-Za-z0-9._/-]' AND {pattern})"
    return ""
