"""The leaderboard: versions that passed, ranked by one metric among those that can be compared. Its functions are pure.

Results are ranked only within a group of equal `comparable_key`: definition, settings, machine, libraries. A row is one
manifest, with all of its names. A result with too few samples, or a failure, is in its group without a rank and with
the reason.

A row's rank counts the rows whose worst plausible value, the worse end of the interval, is better than its own. More
samples of the same kind narrow an interval and can only improve that end, so that no model rises by measuring less.
Where intervals overlap the order is not certain: each row has its possible ranks. A value without an interval is ranked
as it is, but only where no other has one. Not here: regressions (catalog), files of rows (leaderboard_files).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weighbridge.domain.result import INSUFFICIENT, OF_RUN, BenchmarkResult, Metric
from weighbridge.domain.version import ModelVersion, VersionSummary

#: The default metric for ranking a benchmark: the first of these that a result has, else its first.
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

#: What is ranked: a version, of which only what lists have is looked at.
Ranked = ModelVersion | VersionSummary


@dataclass(frozen=True)
class Filter:
    """The versions and results to show.

    Attributes:
        architecture: the one on the card, or empty for any.
        min_params, max_params: the number of weights; either hides a version with an unknown number.
        licence: SPDX expression, or empty for any.
        task: the one on the card, or empty for any.
        definition: that of the benchmark, such as `inference_latency/1`, or empty for any.
        hardware: a part of the machine's name, such as `H200`, or empty for any.
    """

    architecture: str = ""
    min_params: float = 0.0
    max_params: float = float("inf")
    licence: str = ""
    task: str = ""
    definition: str = ""
    hardware: str = ""

    def admits(self, version: Ranked) -> bool:
        """Return whether a version passed and matches."""
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
        """Return whether a result has that definition and machine."""
        fits = self.definition in ("", result.definition)
        return fits and self.hardware.casefold() in result.machine.casefold()


@dataclass(frozen=True)
class Row:
    """One manifest in a group.

    Attributes:
        rank: from 1; None when it cannot be ranked.
        versions: the versions with this manifest, by name; at least one.
        metric: the metric for ranking; None when its result has none of that name.
        result: the whole result.
        reason: the reason why it has no rank, or empty.
        possible: the best and the worst rank that the intervals allow; None when it cannot be ranked.
    """

    rank: int | None
    versions: tuple[Ranked, ...]
    metric: Metric | None
    result: BenchmarkResult
    reason: str = ""
    possible: tuple[int, int] | None = None

    @property
    def version(self) -> Ranked:
        """Return the first of the versions."""
        return self.versions[0]

    @property
    def names(self) -> str:
        """Return every name and version of the manifest: `smol 1.0.0, smol-mirror 1.2.0`."""
        return ", ".join(f"{version.name} {version.version}" for version in self.versions)

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON types, for `--json`, CSV and parquet."""
        card, interval = self.version.card, self.metric.interval if self.metric else None
        return {
            "rank": self.rank,
            "rank_best": self.possible[0] if self.possible else None,
            "rank_worst": self.possible[1] if self.possible else None,
            "name": self.version.name,
            "version": self.version.version,
            "names": self.names,
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
class RankedGroup:
    """Rows that can be compared with one another.

    Attributes:
        key: their comparable key.
        benchmark, metric: the benchmark and metric for ranking.
        rows: ranked ones first.
    """

    key: str
    benchmark: str
    metric: str
    rows: tuple[Row, ...]


def leaderboard(
    versions: Iterable[Ranked],
    results: Iterable[BenchmarkResult],
    wanted: Filter | None = None,
    sort: str = "",
) -> tuple[RankedGroup, ...]:
    """Return ranked versions, group by group; for one benchmark the group with most ranks comes first.

    Args:
        versions: those of the catalog.
        results: the newest of each manifest, benchmark and comparable key; those without a version here are left out,
            and failures of a run, which are not about the model.
        wanted: the filter.
        sort: the name of the metric; each benchmark's main one when empty. A result without it is shown where a
            comparable one has it, and a failure where its benchmark has it.
    """
    wanted = wanted or Filter()
    by_manifest: dict[str, list[Ranked]] = defaultdict(list)
    for version in versions:
        if wanted.admits(version):
            by_manifest[str(version.manifest.digest)].append(version)
    shown = [
        result
        for result in results
        if result.manifest_digest in by_manifest and wanted.accepts(result) and result.cause != OF_RUN
    ]
    groups: dict[tuple[str, str, str], list[BenchmarkResult]] = defaultdict(list)
    for result in shown:
        groups[result.comparable_key, result.benchmark, sort or _main_metric(result)].append(result)
    having = {result.benchmark for result in shown if result.metric(sort)}
    having |= {benchmark for benchmark, names in MAIN_METRICS.items() if sort in names}
    ranked = [
        RankedGroup(key, benchmark, metric, _ranked(found, by_manifest, metric))
        for (key, benchmark, metric), found in groups.items()
        if not sort or any(one.metric(sort) or (one.failure and benchmark in having) for one in found)
    ]
    return tuple(sorted(ranked, key=_place))


def _place(group: RankedGroup) -> tuple[str, str, int, int, str]:
    ranks = sum(row.rank is not None for row in group.rows)
    return group.benchmark, group.metric, -ranks, -len(group.rows), group.key


def _main_metric(result: BenchmarkResult) -> str:
    known = MAIN_METRICS.get(result.benchmark, ())
    names = [metric.name for metric in result.metrics]
    return next((name for name in known if name in names), next(iter(names), known[-1] if known else "accuracy"))


def _ranked(found: Sequence[BenchmarkResult], versions: dict[str, list[Ranked]], name: str) -> tuple[Row, ...]:
    of_name = [(result, metric.finite() if (metric := result.metric(name)) else None) for result in found]
    spread = any(metric and metric.interval for _, metric in of_name)
    rows = []
    for result, metric in of_name:
        names = tuple(sorted(versions[result.manifest_digest], key=lambda one: (one.name, one.version)))
        rows.append(Row(None, names, metric, result, _unranked(result, metric, name, spread)))
    usable = [(row, _span(row.metric)) for row in rows if row.metric and not row.reason]
    best, worst = sorted(span[0] for _, span in usable), sorted(span[1] for _, span in usable)
    ranked = [
        replace(
            row,
            rank=1 + bisect_left(worst, span[1]),
            # Certainly better are those whose worst is better than its best; possibly better, except itself, those
            # whose best is better than its worst.
            possible=(1 + bisect_left(worst, span[0]), 1 + bisect_left(best, span[1]) - (span[0] < span[1])),
        )
        for row, span in usable
    ]
    ranked.sort(key=lambda row: (row.rank, _width(row.metric), row.names))
    return (*ranked, *sorted((row for row in rows if row.reason), key=lambda row: row.names))


def _unranked(result: BenchmarkResult, metric: Metric | None, name: str, spread: bool) -> str:
    """Return why a result has no rank, or nothing; `spread` means that comparable ones have intervals."""
    if result.failure:
        return result.failure
    if metric is None:
        return f"it has no {name}"
    if metric.value is None or metric.reason == INSUFFICIENT:
        return metric.reason or f"it has no {name}"
    return "its interval is not known" if spread and metric.interval is None else ""


def _span(metric: Metric) -> tuple[float, float]:
    """Return the best and the worst plausible value of a metric, negated where higher is better."""
    value = metric.value if metric.value is not None else math.inf
    low, high = (metric.interval.low, metric.interval.high) if metric.interval else (value, value)
    return (low, high) if metric.better == "lower" else (-high, -low)


def _width(metric: Metric | None) -> float:
    """Return the width of a metric's interval: of rows with the same rank the most certain one comes first."""
    return metric.interval.high - metric.interval.low if metric and metric.interval else 0.0
