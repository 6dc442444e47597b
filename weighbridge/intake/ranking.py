"""Ranking what was measured, for one asker: the leaderboard of the catalog's results.

Not here: how rows are ranked (benchmarks.leaderboard).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.leaderboard import Filter, RankedGroup, leaderboard
from weighbridge.catalog import Catalog
from weighbridge.domain.access import Caller
from weighbridge.errors import UsageError

#: Rows that are kept in memory, about a kilobyte each.
_MOST_ROWS = 20_000


@dataclass(frozen=True)
class RankingRequest:
    """What a leaderboard shows.

    Attributes:
        wanted: which versions and results.
        benchmark: its name; empty for all.
        metric: the one to rank by; empty for each benchmark's main one.
        models: patterns of the names that the asker may see; empty for all.
    """

    wanted: Filter = field(default_factory=Filter)
    benchmark: str = ""
    metric: str = ""
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """Groups of comparable rows, and whether there is any result at all."""

    groups: tuple[RankedGroup, ...]
    measured: bool


def rank(request: RankingRequest, catalog: Catalog) -> Ranking:
    """Rank the versions that passed; only comparable results are ranked against each other.

    Raises:
        UsageError: there is no such benchmark, or no result has that metric.
    """
    if request.benchmark and request.benchmark not in BENCHMARKS:
        raise UsageError(f"There is no benchmark “{request.benchmark}”.", f"Known ones: {', '.join(BENCHMARKS)}.")
    versions, results = catalog.measured(request.benchmark or None)
    known = sorted({metric.name for result in results for metric in result.metrics})
    if request.metric and known and request.metric not in known:
        raise UsageError(f"No result has a metric “{request.metric}”.", f"There are: {', '.join(known)}.")
    asker = Caller("", "reader", request.models)
    shown = [version for version in versions if asker.may("reader", version.name)]
    return Ranking(leaderboard(shown, results, request.wanted, request.metric), bool(results))


class Rankings:
    """The rows of rankings, each kept until the catalog changes: ranking reads every result. Safe for threads.

    Every change of the catalog has a row in the audit log, so the number of the newest one says whether there was any.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._lock = catalog, Lock()
        self._number = 0
        self._kept: dict[tuple[RankingRequest, int], list[dict[str, Any]]] = {}

    def rows(self, request: RankingRequest, limit: int) -> list[dict[str, Any]]:
        """Return the rows of each group as plain JSON types, at most so many of each. Raises as `rank` does."""
        with self._lock:
            number = self._catalog.audit.head().number
            if number != self._number:
                self._number = number
                self._kept.clear()
            found = self._kept.get((request, limit))
            if found is None:
                groups = rank(request, self._catalog).groups
                found = [row.to_json() for group in groups for row in group.rows[:limit]]
                self._keep((request, limit), found)
            return found

    def _keep(self, key: tuple[RankingRequest, int], rows: list[dict[str, Any]]) -> None:
        if sum(map(len, self._kept.values())) + len(self._kept) + len(rows) >= _MOST_ROWS:
            self._kept.clear()
        if len(rows) < _MOST_ROWS:
            self._kept[key] = rows
