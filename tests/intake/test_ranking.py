"""Rankings are of the catalog as it is, and show nobody what that asker may not see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.test_results import result, settle
from weighbridge.benchmarks.leaderboard import Filter
from weighbridge.catalog import Catalog
from weighbridge.domain.clock import utc_now
from weighbridge.errors import UsageError
from weighbridge.intake.ranking import RankingRequest, rank


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", utc_now) as opened:
        for number, name in enumerate(("a/one", "a/two", "b/three")):
            opened.add_result(result(settle(opened, "1.0.0", name, name), float(number + 1)))
        yield opened


def names(request: RankingRequest, catalog: Catalog) -> list[str]:
    return [row.version.name for group in rank(request, catalog).groups for row in group.rows]


def test_a_ranking_is_of_the_catalog_as_it_is_now(catalog: Catalog) -> None:
    everything = RankingRequest()
    assert names(everything, catalog) == ["a/one", "a/two", "b/three"]
    catalog.withdraw("a/one", "1.0.0", "recalled")
    assert names(everything, catalog) == ["a/two", "b/three"]
    catalog.reinstate("a/one", "1.0.0")
    catalog.add_result(result(settle(catalog, "1.0.0", "c", "c"), 0.5))
    assert names(everything, catalog) == ["c", "a/one", "a/two", "b/three"]
    catalog.remove("c", "1.0.0")
    assert names(everything, catalog) == ["a/one", "a/two", "b/three"]


def test_who_may_see_less_gets_less(catalog: Catalog) -> None:
    for models, expected in (((), 3), (("a/*",), 2), (("b/*", "a/one"), 2), (("none",), 0), ((), 3)):
        assert len(names(RankingRequest(models=models), catalog)) == expected
    assert names(RankingRequest(Filter(architecture="none")), catalog) == []
    with pytest.raises(UsageError, match="no benchmark"):
        rank(RankingRequest(benchmark="none"), catalog)
