"""Searches of the Hub's models on SQLite and on PostgreSQL: the same models as a plain look at all of them gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from tests.catalog.hub_values import NOON, hub_model
from weighbridge.catalog import hub_search
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.domain.hub_models import HUB_ORDERS, NAMING_TAGS, Gated, HubEntry, HubModel, HubQuery, PassKind
from weighbridge.errors import UsageError

COUNT = 800
#: Some of what a list may hold besides ordinary models.
ODD = [
    HubModel("gpt2", tags=("region:us",), downloads=10**9, likes=3),
    HubModel("odd/100%_sure", tags=("50%", "a_b", 'say "hi"', "it's"), parameters=1),
    HubModel("odd/emoji-🙂", tags=("日本語", "🙂 tag"), parameters=5 * 10**11),
    HubModel("odd/..--__..", tags=("x" * 400,), trending_score=0.5),
    HubModel("Zz/Qx-ZQ", tags=("zq",), gated=Gated.YES),
    HubModel("odd/gone", tags=("gguf",), likes=9),
]
MODELS = [*(hub_model(place) for place in range(COUNT)), *ODD]
GONE = "odd/gone"


@pytest.fixture(scope="module")
def filled(opened_hub: HubCatalog) -> HubCatalog:
    """Return a catalogue with some thousand models, one of which the Hub lists no more."""
    for day, models in enumerate((MODELS, [model for model in MODELS if model.id != GONE])):
        at = NOON + timedelta(days=day)
        begun = opened_hub.begin(PassKind.FULL, "", "here", at)
        for first in range(0, len(models), 1000):
            opened_hub.add_page(begun.number, "here", models[first : first + 1000], "", at)
        opened_hub.finish(begun.number, "here", at)
    return opened_hub


def _has(model: HubModel, word: str) -> bool:
    if word in _folded(model.id) or word in model.tags:
        return True
    return len(word) > 2 and any(word in _folded(tag) for tag in model.tags if not tag.startswith(NAMING_TAGS))


@cache
def _folded(text: str) -> str:
    return "".join(one.lower() if one.isascii() else one for one in text)


def _matches(model: HubModel, query: HubQuery) -> bool:
    tests: list[tuple[Any, Callable[[Any], bool]]] = [
        (query.author, lambda author: _folded(model.author) == _folded(author)),
        (query.library, lambda library: model.library == library),
        (query.licence, lambda licence: model.licence == licence),
        (query.gated, lambda gated: model.gated in gated),
        (query.min_parameters, lambda least: model.parameters is not None and model.parameters >= least),
        (query.max_parameters, lambda most: model.parameters is not None and model.parameters <= most),
        (query.max_memory_size, lambda most: model.memory_size is not None and model.memory_size <= most),
    ]
    return (
        (query.include_vanished or model.id != GONE)
        and all(_has(model, word) for word in dict.fromkeys(_folded(query.search).split()))
        and set(query.filters) <= set(model.tags)
        and all(test(wanted) for wanted, test in tests if wanted)
    )


def _value(model: HubModel, sort: str) -> Any:
    return {
        "downloads": model.downloads,
        "likes": model.likes,
        "trendingScore": model.trending_score,
        "createdAt": model.created_at,
        "lastModified": model.last_modified,
        "parameters": model.parameters,
        "memory": model.memory_size,
        "id": _folded(model.id).encode(),
    }[sort]


def _pages(hub: HubCatalog, query: HubQuery) -> list[HubEntry]:
    found: list[HubEntry] = []
    while True:
        page = hub.search(query)
        assert len(page.entries) <= query.limit
        found += page.entries
        if not page.cursor:
            return found
        assert len(page.entries) == query.limit
        query = replace(query, cursor=page.cursor)


def _check(hub: HubCatalog, query: HubQuery) -> None:
    expected = [model for model in MODELS if _matches(model, query)]
    found = [entry.model for entry in _pages(hub, query)]
    assert {model.id for model in found} == {model.id for model in expected}, query
    assert len(found) == len(expected), query
    values = [_value(model, query.sort) for model in found]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=query.descending), query
    assert all(value is None for value in values[len(known) :]), query
    assert hub.count(query, 10_000) == len(expected), query
    assert hub.count(query, 3) == min(3, len(expected)), query


SEARCHES = (
    *("", "instruct", "LLAMA gguf", "llama-4", "meta", "b", "a", "en", "7", "17", "zq", "qx", "no-such-thing", "us"),
    *("apache", "base_model:finetune", "Llama-17", "text-generation", "region:us", "license:mit lora", "nst ruc"),
    *("100%", "%", "_", "%_", "a_b", "50%", '"', "'", 'say "hi"', "it's", "\\", "*", "NEAR(a b)", "a OR b", "-", "--"),
    *(
        "🙂",
        "emoji-🙂",
        "日本語",
        "日",
        "é",
        "\0",
        "x" * 399,
        "x" * 10_000,
        "a b c " * 2000,
        "/",
        "..",
        "gpt2",
    ),
)

#: What broke the searches of others: words of the index's own language (NousResearch/hermes-agent#79285,
#: openclaw/wacli#120, spences10/ccrecall#29, simonw/sqlite-utils#296), and short words beside long ones
#: (tommy0103/obelisk#76, #194) or of Chinese (agentic-os-org/ANOLISA#1292).
REPORTED = (
    *("it's", "gateway/run.py", "user@host", "a,b", "why?", "e=mc2", "#tag", "[bracket]", "multi-agent", "20.04"),
    *("col:llama", '"unclosed', "NOT llama", "llama*", "^llama", "(llama", "llama AND bert", "+llama", "{llama}"),
    *("llama 17", '"llama" 17', "qwen ok", "llama 日", "本語", "日本語 emoji"),
)


def test_words_are_found_in_names_and_tags(filled: HubCatalog) -> None:
    for search in (*SEARCHES, *REPORTED):
        _check(filled, HubQuery(search=search, limit=1000))


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7])
def test_pages_go_on_behind_the_last_model_that_has_a_figure(filled: HubCatalog, limit: int) -> None:
    """Others lose rows at some lengths of pages (apache/airflow#68869, JSONbored/metagraphed#9938, zitadel#766)."""
    for descending in (True, False):
        for author in ("odd", "zz"):
            for sort in ("parameters", "trendingScore", "createdAt", "likes"):
                _check(filled, HubQuery(author=author, sort=sort, descending=descending, limit=limit))


FILTERS: dict[str, dict[str, Any]] = {
    "tag": {"filters": ("text-generation",)},
    "tags": {"filters": ("transformers", "license:mit", "region:us")},
    "unknown tag": {"filters": ("no-such-tag",)},
    "rare tag": {"filters": ("base_model:finetune:meta-llama/Llama-3",)},
    "author": {"author": "qwen"},
    "author that is none": {"author": "q%"},
    "library": {"library": "transformers"},
    "licence": {"licence": "mit"},
    "gated": {"gated": (Gated.AUTO, Gated.MANUAL)},
    "public": {"gated": (Gated.NO,)},
    "unknown": {"gated": (Gated.UNKNOWN,)},
    "either": {"gated": (Gated.YES, Gated.UNKNOWN)},
    "size": {"min_parameters": 10**9, "max_parameters": 8 * 10**9},
    "memory": {"max_memory_size": 16 * 10**9},
    "vanished too": {"include_vanished": True},
    "all": {
        "search": "llama",
        "filters": ("region:us",),
        "author": "Qwen",
        "licence": "mit",
        "gated": (Gated.NO,),
        "library": "transformers",
        "max_parameters": 60 * 10**9,
    },
}


@pytest.mark.parametrize("sort", HUB_ORDERS)
def test_every_filter_in_every_order(filled: HubCatalog, sort: str) -> None:
    for values in FILTERS.values():
        for descending in (True, False):
            _check(filled, HubQuery(sort=sort, descending=descending, limit=300, **values))


def test_pages_of_any_length_lose_and_double_nothing(filled: HubCatalog) -> None:
    for limit in (1, 7):
        _check(filled, HubQuery(search="llama-1", filters=("text-generation",), limit=limit * 20, sort="likes"))
    _check(filled, HubQuery(search="zq", limit=1))


@pytest.mark.parametrize("look", [1, 50])
def test_the_way_to_the_rows_makes_no_difference(
    filled: HubCatalog, look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short look at the order and few matches that are sorted lead through every step with few rows."""
    monkeypatch.setattr(hub_search, "_FIRST_LOOK", look)
    monkeypatch.setattr(hub_search, "_SECOND_LOOK", 10 * look)
    monkeypatch.setattr(hub_search, "_FEW", 5)
    monkeypatch.setattr(hub_search, "_CHUNK", 7)
    for sort in ("downloads", "parameters", "id"):
        for search in ("instruct", "llama-4", "region", "meta-llama/Llama-3"):
            _check(filled, HubQuery(search=search, sort=sort, limit=900, max_memory_size=60 * 10**9))
            _check(filled, HubQuery(search=search, sort=sort, descending=False, limit=900, filters=("license:mit",)))


def test_exports_have_all_matches_in_order(filled: HubCatalog) -> None:
    query = HubQuery(search="llama", sort="parameters", limit=3)
    found = [entry.model.id for batch in filled.batches(query, 500) for entry in batch]
    assert found == [entry.model.id for entry in _pages(filled, replace(query, limit=1000))]
    assert len(found) == filled.count(query, COUNT)
    assert list(filled.batches(HubQuery(filters=("no-such-tag",)))) == []


@pytest.mark.parametrize(
    "cursor", ["nonsense", "!", "W10", "WzFd", "bnVsbA", "WyJkb3dubG9hZHMiLHRydWUsInEiLDFd", "x" * 5000]
)
def test_a_cursor_of_something_else(filled: HubCatalog, cursor: str) -> None:
    with pytest.raises(UsageError, match="not one of this search"):
        filled.search(HubQuery(cursor=cursor))


def test_a_cursor_of_another_order(filled: HubCatalog) -> None:
    cursor = filled.search(HubQuery(sort="likes")).cursor
    assert filled.search(HubQuery(sort="likes", cursor=cursor)).entries
    for query in (HubQuery(sort="downloads", cursor=cursor), HubQuery(sort="likes", descending=False, cursor=cursor)):
        with pytest.raises(UsageError, match="not one of this search"):
            filled.search(query)
    with pytest.raises(UsageError, match="downloads, likes"):
        filled.search(HubQuery(sort="size"))


def test_pages_during_a_refresh_lose_and_double_nothing(filled: HubCatalog) -> None:
    """Rows that do not move in the order come once each, whatever a refresh does to others meanwhile."""
    query = HubQuery(search="whisper", sort="createdAt", limit=50)
    before = [entry.model.id for entry in _pages(filled, query)]
    found: list[str] = []
    place = COUNT
    while True:
        page = filled.search(query)
        found += [entry.model.id for entry in page.entries]
        if not page.cursor:
            break
        query = replace(query, cursor=page.cursor)
        at = NOON + timedelta(days=2)
        changed = [replace(entry.model, downloads=7, likes=1) for entry in page.entries]
        filled.remember([*changed, *(hub_model(new) for new in range(place, place + 20))], at)
        place += 20
    assert found == before
    fresh = {hub_model(new).id for new in range(COUNT, place)}
    assert fresh & {entry.model.id for entry in _pages(filled, replace(query, cursor=""))}
