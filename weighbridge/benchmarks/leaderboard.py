"""The leaderboard: versions that passed, ranked by one metric among those that can be compared. Pure.

Results are ranked only within a group of equal `comparable_key`: definition, settings, machine, libraries. What has too
few samples, or failed, stands in its group without a rank and with the reason. A version's rank is one more than the
number of versions that are better beyond both intervals, so that what cannot be told apart shares a rank; a value that
has no interval counts as known exactly. Not here: regressions (catalog), files of rows (leaderboard_files).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.result import BenchmarkResult, Metric
from weighbridge.domain.version import ModelVersion

#: The metric by which a benchmark is ranked when nobody says: the first of these that a result has, else its first.
MAIN_METRICS = {
    "inference_latency": ("ttft_p50",),
    "throughput": ("output_tokens_per_second_batch_1",),
    "memory": ("peak_allocated", "peak_rss"),
    "embedding_rate": ("sentences_per_second",),
    "rerank_rate": ("documents_per_second",),
    "speech_rate": ("real_time_factor",),
    "humaneval": ("pass_at_1",),
    "mt_bench": ("score",),
}


@dataclass(frozen=True)
class Filter:
    """Which versions and results are shown.

    Attributes:
        architecture: as cards have it, or empty for any.
        min_params, max_params: number of weights; a version that does not say its own is hidden by either.
        licence: SPDX expression, or empty for any.
        task: or empty for any.
        definition: of the benchmark, such as `inference_latency/1`, or empty for any.
        hardware: a part of the machine's name, such as `H200`, or empty for any.
    """

    architecture: str = ""
    min_params: float = 0.0
    max_params: float = float("inf")
    licence: str = ""
    task: str = ""
    definition: str = ""
    hardware: str = ""

    def admits(self, version: ModelVersion) -> bool:
        """Whether a version passed and is of that kind."""
        card = version.card
        parameters = card.get("parameter_count")
        fits = all(
            not wanted or str(card.get(name) or "").casefold() == wanted.casefold()
            for name, wanted in (("architecture", self.architecture), ("licence", self.licence), ("task", self.task))
        )
        limited = self.min_params > 0 or self.max_params < float("inf")
        within = self.min_params <= parameters <= self.max_params if isinstance(parameters, int) else not limited
        return version.status == "PASSED" and fits and within

    def accepts(self, result: BenchmarkResult) -> bool:
        """Whether a result is of that definition and machine."""
        fits = self.definition in ("", result.definition)
        return fits and self.hardware.casefold() in result.machine.casefold()


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
            "machine": self.result.machine,
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
    """Rank versions, group by group; of one benchmark the largest group comes first.

    Args:
        versions: of the catalog.
        results: the newest of each manifest, benchmark and comparable key; those of no version here are left out.
        wanted: what is shown.
        sort: name of the metric; each benchmark's main one when empty. Results without it are left out, but not those
            that failed at a benchmark which has it.
    """
    wanted = wanted or Filter()
    by_manifest: dict[str, list[ModelVersion]] = defaultdict(list)
    for version in versions:
        if wanted.admits(version):
            by_manifest[str(version.manifest.digest)].append(version)
    shown = [result for result in results if result.manifest_digest in by_manifest and wanted.accepts(result)]
    having = {result.benchmark for result in shown if result.metric(sort)}
    having |= {benchmark for benchmark, names in MAIN_METRICS.items() if sort in names}
    groups: dict[tuple[str, str, str], list[tuple[ModelVersion, BenchmarkResult]]] = defaultdict(list)
    for result in shown:
        name = sort or _main_metric(result)
        if not sort or result.metric(sort) or (result.failure and result.benchmark in having):
            rows = ((version, result) for version in by_manifest[result.manifest_digest])
            groups[result.comparable_key, result.benchmark, name].extend(rows)
    ranked = [Group(key, name, metric, _ranked(rows, metric)) for (key, name, metric), rows in groups.items()]
    return tuple(sorted(ranked, key=lambda group: (group.benchmark, group.metric, -len(group.rows), group.key)))


def _main_metric(result: BenchmarkResult) -> str:
    known = MAIN_METRICS.get(result.benchmark, ())
    names = [metric.name for metric in result.metrics]
    return next((name for name in known if name in names), next(iter(names), known[-1] if known else "accuracy"))


def _ranked(found: Sequence[tuple[ModelVersion, BenchmarkResult]], name: str) -> tuple[Row, ...]:
    usable: list[tuple[Metric, ModelVersion, BenchmarkResult]] = []
    rows: list[Row] = []
    for version, result in found:
        told = result.metric(name)
        metric = told.finite() if told else None
        if metric is not None and metric.value is not None and not result.failure:
            usable.append((metric, version, result))
        else:
            reason = result.failure or (metric.reason if metric else "") or f"it has no {name}"
            rows.append(Row(None, version, metric, result, reason))
    worst = sorted(_span(metric)[1] for metric, _, _ in usable)
    ranked = [
        Row(1 + bisect_left(worst, _span(metric)[0]), version, metric, result) for metric, version, result in usable
    ]
    ranked.sort(key=lambda row: (row.rank, _span(row.metric)[2] if row.metric else 0.0, *_name(row)))
    return (*ranked, *sorted(rows, key=_name))


def _span(metric: Metric) -> tuple[float, float, float]:
    """Return the best and the worst that a metric may be, and its value, turned so that lower is better."""
    value = metric.value if metric.value is not None else math.inf
    low, high = (metric.interval.low, metric.interval.high) if metric.interval else (value, value)
    return (low, high, value) if metric.better == "lower" else (-high, -low, -value)


def _name(row: Row) -> tuple[str, str]:
    return row.version.name, row.version.version
