"""The leaderboard: versions that passed, ranked by one metric among those that can be compared. Pure.

Results are ranked only within a group of equal `comparable_key`: definition, settings, machine, libraries. What has too
few samples, or failed, stands in its group without a rank and with the reason. A version's rank is one more than the
number of versions that are better beyond both intervals, so that what cannot be told apart shares a rank.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.benchmarks.interface import BenchmarkResult, Metric
from weighbridge.benchmarks.statistics import is_better
from weighbridge.version import ModelVersion

#: The metric by which a benchmark is sorted when nobody says.
MAIN_METRICS = {
    "inference_latency": "ttft_p50",
    "throughput": "output_tokens_per_second_batch_1",
    "memory": "peak_rss",
    "embedding_rate": "sentences_per_second",
    "rerank_rate": "documents_per_second",
    "speech_rate": "real_time_factor",
    "humaneval": "pass_at_1",
    "mt_bench": "score",
}


@dataclass(frozen=True)
class Filter:
    """Which versions are shown.

    Attributes:
        architecture: as cards have it, or empty for any.
        min_params, max_params: number of weights.
        licence: SPDX expression, or empty for any.
        task: or empty for any.
    """

    architecture: str = ""
    min_params: float = 0.0
    max_params: float = float("inf")
    licence: str = ""
    task: str = ""

    def admits(self, version: ModelVersion) -> bool:
        """Whether a version passed and is of that kind; a number that no card states is no reason to hide it."""
        card = version.card
        parameters = card.get("parameter_count")
        fits = all(
            not wanted or str(card.get(name) or "").casefold() == wanted.casefold()
            for name, wanted in (("architecture", self.architecture), ("licence", self.licence), ("task", self.task))
        )
        limited = self.min_params > 0 or self.max_params < float("inf")
        within = self.min_params <= parameters <= self.max_params if isinstance(parameters, int) else not limited
        return version.status == "PASSED" and fits and within


@dataclass(frozen=True)
class Row:
    """One version in a group.

    Attributes:
        rank: from 1; None when it cannot be ranked.
        version: which one.
        metric: the one it is ranked by; None when its result has none of that name.
        result: all that was measured.
        reason: why it has no rank, or empty.
    """

    rank: int | None
    version: ModelVersion
    metric: Metric | None
    result: BenchmarkResult
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the row as `--json`, CSV and parquet have it."""
        card, interval = self.version.card, self.metric.interval if self.metric else None
        return {
            "rank": self.rank,
            "name": self.version.name,
            "version": self.version.version,
            "architecture": card.get("architecture"),
            "parameter_count": card.get("parameter_count"),
            "licence": card.get("licence"),
            "benchmark": self.result.benchmark,
            "definition": self.result.definition,
            "metric": self.metric.name if self.metric else None,
            "value": self.metric.value if self.metric else None,
            "unit": self.metric.unit if self.metric else None,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "n": self.metric.n if self.metric else None,
            "reason": self.reason,
            "noisy": self.result.noisy,
            "comparable_key": self.result.comparable_key,
            "machine": self.result.hardware.get("gpu") or self.result.hardware.get("processor"),
            "manifest_digest": self.result.manifest_digest,
            "measured_at": self.result.started_at,
        }


@dataclass(frozen=True)
class Group:
    """Rows that can be compared with one another.

    Attributes:
        key: their comparable key.
        benchmark, metric: what they are ranked by.
        rows: ranked ones first.
    """

    key: str
    benchmark: str
    metric: str
    rows: tuple[Row, ...]


def leaderboard(
    versions: Iterable[ModelVersion],
    results: Iterable[BenchmarkResult],
    wanted: Filter | None = None,
    sort: str = "",
) -> tuple[Group, ...]:
    """Rank versions, group by group, the largest group first.

    Args:
        versions: of the catalog.
        results: the newest of each manifest, benchmark and comparable key.
        wanted: which versions are shown.
        sort: name of the metric; each benchmark's main one when empty. Benchmarks without it are left out.
    """
    wanted = wanted or Filter()
    by_manifest: dict[str, list[ModelVersion]] = defaultdict(list)
    for version in versions:
        if wanted.admits(version):
            by_manifest[str(version.manifest.digest)].append(version)
    groups: dict[tuple[str, str, str], list[tuple[ModelVersion, BenchmarkResult]]] = defaultdict(list)
    for result in results:
        metric = _metric_name(result, sort)
        for version in by_manifest.get(result.manifest_digest, ()) if metric else ():
            groups[result.comparable_key, result.benchmark, metric].append((version, result))
    ranked = [Group(key, name, metric, _ranked(rows, metric)) for (key, name, metric), rows in groups.items()]
    return tuple(sorted(ranked, key=lambda group: (group.benchmark, group.metric, -len(group.rows), group.key)))


def _metric_name(result: BenchmarkResult, sort: str) -> str:
    names = [metric.name for metric in result.metrics]
    if sort:
        return sort if sort in names or (result.failure and MAIN_METRICS.get(result.benchmark) == sort) else ""
    main = MAIN_METRICS.get(result.benchmark, "")
    return main or (names[0] if names else "accuracy")


def _ranked(found: Sequence[tuple[ModelVersion, BenchmarkResult]], name: str) -> tuple[Row, ...]:
    usable: list[tuple[Metric, ModelVersion, BenchmarkResult]] = []
    rows: list[Row] = []
    for version, result in found:
        metric = result.metric(name)
        if metric is not None and metric.value is not None:
            usable.append((metric, version, result))
        else:
            reason = result.failure or (metric.reason if metric else f"it has no {name}")
            rows.append(Row(None, version, metric, result, reason))
    ranks = [1 + sum(is_better(other, metric) for other, _, _ in usable) for metric, _, _ in usable]
    ranked = [Row(rank, version, metric, result) for rank, (metric, version, result) in zip(ranks, usable, strict=True)]
    ranked.sort(key=lambda row: (row.rank, _signed(row.metric), row.version.name))
    rows.sort(key=lambda row: (row.version.name, row.version.version))
    return (*ranked, *rows)


def _signed(metric: Metric | None) -> float:
    """Return a value by which the better ones come first."""
    value = metric.value if metric and metric.value is not None else 0.0
    return value if metric and metric.better == "lower" else -value


def frame(groups: Iterable[Group]) -> Any:
    """Return all rows as a pandas data frame, a column each of `Row.to_json`."""
    import pandas

    rows: list[Mapping[str, Any]] = [row.to_json() for group in groups for row in group.rows]
    table = pandas.DataFrame(rows)
    return table.astype({"rank": "Int64", "parameter_count": "Int64", "n": "Int64"}) if rows else table
