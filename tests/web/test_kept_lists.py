"""Lists are kept as long as the catalog does not change, and nobody gets one that another asker may see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.catalog.test_results import settle
from weighbridge.catalog import Catalog, ModelQuery
from weighbridge.domain.clock import utc_now
from weighbridge.web import kept_lists
from weighbridge.web.kept_lists import KeptLists


class Made:
    """Makes lists of names, and counts how often."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog, self.lists, self.times = catalog, KeptLists(catalog), 0

    def names(self, query: ModelQuery) -> list[str]:
        def make() -> list[str]:
            self.times += 1
            return [model.name for model in self.catalog.lists.models(query)]

        found: list[str] = json.loads(self.lists.of(query, make).content)
        return found


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", utc_now) as opened:
        for name in ("a/one", "b/two"):
            settle(opened, "1.0.0", name, name)
        yield Made(opened)


def test_a_list_is_kept_until_the_catalog_changes(made: Made) -> None:
    assert [made.names(ModelQuery()) for _ in range(3)] == [["a/one", "b/two"]] * 3
    assert made.times == 1
    made.catalog.withdraw("a/one", "1.0.0", "recalled")
    assert made.names(ModelQuery(status="PASSED")) == ["b/two"]
    assert made.names(ModelQuery()) == ["a/one", "b/two"]
    settle(made.catalog, "1.0.0", "c", "c")
    assert made.names(ModelQuery()) == ["a/one", "b/two", "c"]
    assert made.times == 4


def test_another_asker_has_another_list(made: Made) -> None:
    assert made.names(ModelQuery(names=("a/*",))) == ["a/one"]
    assert made.names(ModelQuery(names=("b/*",))) == ["b/two"]
    assert made.names(ModelQuery(names=("a/*",))) == ["a/one"]


def test_a_change_while_a_list_is_made_is_in_the_next_one(made: Made) -> None:
    def change() -> list[str]:
        before = [model.name for model in made.catalog.lists.models(ModelQuery())]
        thread = Thread(target=settle, args=(made.catalog, "1.0.0", "c", "c"))
        thread.start()
        thread.join()
        return before

    assert json.loads(made.lists.of(ModelQuery(), change).content) == ["a/one", "b/two"]
    assert made.names(ModelQuery()) == ["a/one", "b/two", "c"]


def test_what_is_kept_has_a_limit(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_lists, "MOST_KEPT", 40)
    for limit in (1, 2, 3, 4):
        made.names(ModelQuery(limit=limit))
    assert made.times == 4
    made.names(ModelQuery(limit=4))
    assert made.times == 4
    made.names(ModelQuery(limit=1))
    assert made.times == 5
