"""Searches: a part of what is known of a model, found in every text that people write, and in each change at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.test_audit import CHANGES
from tests.catalog.test_catalog import settle
from tests.catalog.test_listings import add
from weighbridge.catalog import Catalog, ModelQuery, ModelSummary, search_texts
from weighbridge.catalog.column_types import storable
from weighbridge.catalog.queries import Sort

Open = Callable[..., Catalog]
#: What texts are made of: cases that fold to another length, wildcards of SQL, quotes, marks, and several alphabets.
PIECES = [
    *("a", "A", "ss", "ß", "ẞ", "İ", "\u0131", "i", "Σ", "ς", "ﬁ", "é", "e\u0301", "Ǆ", "Ω", "\u2126"),
    *("%", "_", "\\", "\\%", "'", '"', "?", ":x", "[a]", "*", "^", "(", ")", "$1", "\0", "\ud800", "\ufffd"),
    *(" ", "  ", "\t", "\u00a0", "\u200b", "日本", "語", "🦙", "\U0001d4b3", "-", "--", ";", "DROP", "\U0010ffff"),
]
SORTS: tuple[Sort, ...] = ("name", "created", "updated", "size", "parameters")


def _text(chance: random.Random, pieces: int) -> str:
    return "".join(chance.choices(PIECES, k=pieces))


def _filled(catalog: Catalog, models: int = 14) -> dict[str, list[str]]:
    """Add models of odd texts, and return what a search looks at in each."""
    chance, found = random.Random(7), {}
    for number in range(models):
        name = f"org/Größe-{number % 5}-{number}"
        fields = {
            "architecture": _text(chance, 3),
            "task": _text(chance, 2),
            "tags": sorted({_text(chance, 2) for _ in range(3)}),
            "description": f"{_text(chance, 6)}{'x' * 280}{_text(chance, 40)}",
        }
        add(catalog, name, parameter_count=number // 3, **fields)
        found[name] = [name, fields["architecture"], fields["task"], *fields["tags"], fields["description"][:300]]
    return found


def _parts(texts: dict[str, list[str]]) -> Iterator[str]:
    """Yield what is searched for: every piece, parts of the texts, and what is in none."""
    chance = random.Random(8)
    yield from PIECES
    for _ in range(40):
        text = chance.choice(chance.choice(list(texts.values())))
        start = chance.randrange(len(text)) if text else 0
        yield text[start : start + chance.randrange(1, 5)] or "org"
    yield from ("nothing-0.5", "x" * 300, "ORG/GRÖSSE", "größe-1-1", "xxxxxxxxxx")


@pytest.fixture(params=["few", "many"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is found be few enough for one statement, or too many."""
    if request.param == "many":
        monkeypatch.setattr(search_texts, "BATCH", 0)


def names(catalog: Catalog, **query: Any) -> list[str]:
    return [model.name for model in catalog.lists.models(ModelQuery(**query))]


def _has(texts: list[str], part: str) -> bool:
    folded = storable(part.casefold())
    return any(folded in storable(text.casefold()) for text in texts)


@pytest.mark.usefixtures("either_way")
def test_a_part_of_any_text_is_found_and_nothing_else(catalog: Catalog) -> None:
    texts = _filled(catalog)
    found = {part: set(names(catalog, search=part)) for part in _parts(texts)}
    assert found == {part: {name for name in texts if _has(texts[name], part)} for part in found}
    assert any(found.values())


@pytest.mark.usefixtures("either_way")
def test_a_search_is_a_part_of_the_list_in_its_order(catalog: Catalog) -> None:
    _filled(catalog, 9)
    filters: list[dict[str, Any]] = [{}, {"min_size": 1500}, {"names": ("org/Größe-[0-2]*",)}, {"max_parameters": 2}]
    for sort, descending, wanted in product(SORTS, (False, True), filters):
        query = ModelQuery(sort=sort, descending=descending, **wanted)
        whole = catalog.lists.models(query)
        for part in ("größe", "-1-", "-1-6", "nothing"):
            searched = replace(query, search=part)
            expected = [model for model in whole if part.casefold() in model.name.casefold()]
            assert catalog.lists.models(searched) == expected
            assert _in_parts(catalog, replace(searched, limit=2)) == expected


def _in_parts(catalog: Catalog, query: ModelQuery) -> list[ModelSummary]:
    found: list[ModelSummary] = []
    while part := catalog.lists.models(replace(query, after=query.key(found[-1]) if found else None)):
        found += part
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_another_process_is_found_at_once(tmp_path: Path, open_catalog: Open, change: str) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db"
    catalog, other = open_catalog(url), open_catalog(url)  # Each keeps texts of its own.
    settle(catalog)
    assert names(catalog, search="NAME") == ["org/name"]
    CHANGES[change][0](other)
    for part in ("name", "other", "llama", "a", "2.0"):
        assert names(catalog, search=part) == names(other, search=part)


def test_after_many_changes_all_texts_are_read_again(
    url: str, catalog: Catalog, open_catalog: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_texts, "_MOST_ROWS", 2)
    other = open_catalog(url)
    assert names(other, search="org") == []
    for number in range(4):
        settle(catalog, str(number), name=f"org/{number}")
    catalog.remove("org/1", "1.0.0")
    assert names(other, search="org") == ["org/0", "org/2", "org/3"]
    catalog.declarations.change("org/2", {"description": "A new one."})
    assert names(other.acting("key:ci"), search="new ONE") == ["org/2"]


def test_a_transaction_that_began_before_sees_no_error(catalog: Catalog, open_catalog: Open, url: str) -> None:
    """Its rows are those of its beginning, though another thread has read newer texts meanwhile."""
    settle(catalog, name="org/one")
    texts = search_texts.SearchTexts()
    with catalog._database.read() as early:
        assert texts.having(early, "org/").few == ("org/one",)
        open_catalog(url).remove("org/one", "1.0.0")
        with catalog._database.read() as late:
            assert texts.having(late, "org/").few == ()
        assert texts.having(early, "org/").few == ()
