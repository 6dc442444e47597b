"""Ranking what was measured, for one asker: the leaderboard of the catalog's results.

Not here: how rows are ranked (benchmarks.leaderboard).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.leaderboard import Filter, RankedGroup, leaderboard
from weighbridge.catalog import Catalog
from weighbridge.domain.access import Caller
from weighbridge.errors import UsageError


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
