"""Rankings are kept as long as the catalog does not change, and for nobody who may not see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.test_results import result, settle
from weighbridge.benchmarks.leaderboard import Filter
from weighbridge.catalog import Catalog
from weighbridge.domain.clock import utc_now
from weighbridge.errors import UsageError
from weighbridge.intake import ranking
from weighbridge.intake.ranking import RankingRequest, Rankings


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", utc_now) as opened:
        for number, name in enumerate(("a/one", "a/two", "b/three")):
            opened.add_result(result(settle(opened, "1.0.0", name, name), float(number + 1)))
        yield opened


def names(found: list[dict[str, object]]) -> list[object]:
    return [row["name"] for row in found]


def test_a_ranking_is_kept_until_the_catalog_changes(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    rankings, everything = Rankings(catalog), RankingRequest()
    first = rankings.rows(everything, 10)
    assert names(first) == ["a/one", "a/two", "b/three"]
    monkeypatch.setattr(catalog, "measured", None)
    assert rankings.rows(RankingRequest(), 10) is first
    monkeypatch.undo()
    catalog.withdraw("a/one", "1.0.0", "recalled")
    assert names(rankings.rows(everything, 10)) == ["a/two", "b/three"]
    catalog.reinstate("a/one", "1.0.0")
    catalog.add_result(result(settle(catalog, "1.0.0", "c", "c"), 0.5))
    assert names(rankings.rows(everything, 10)) == ["c", "a/one", "a/two", "b/three"]
    catalog.remove("c", "1.0.0")
    assert names(rankings.rows(everything, 2)) == ["a/one", "a/two"]
    assert names(rankings.rows(everything, 10)) == ["a/one", "a/two", "b/three"]


def test_who_may_see_less_gets_less(catalog: Catalog) -> None:
    rankings = Rankings(catalog)
    for models, expected in (((), 3), (("a/*",), 2), (("b/*", "a/one"), 2), (("none",), 0), ((), 3)):
        assert len(rankings.rows(RankingRequest(models=models), 10)) == expected
    assert rankings.rows(RankingRequest(Filter(architecture="none")), 10) == []
    for _ in range(2):
        with pytest.raises(UsageError, match="no benchmark"):
            rankings.rows(RankingRequest(benchmark="none"), 10)


def test_what_is_kept_has_a_limit(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_MOST_ROWS", 5)
    rankings = Rankings(catalog)
    first = rankings.rows(RankingRequest(), 10)
    assert rankings.rows(RankingRequest(), 10) is first
    second = rankings.rows(RankingRequest(models=("a/*",)), 10)
    assert rankings.rows(RankingRequest(models=("a/*",)), 10) is second
    again = rankings.rows(RankingRequest(), 10)
    assert again == first
    assert again is not first
    monkeypatch.setattr(ranking, "_MOST_ROWS", 2)
    assert rankings.rows(RankingRequest(), 11) is not rankings.rows(RankingRequest(), 11)
