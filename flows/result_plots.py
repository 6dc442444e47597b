"""Plots of benchmark results, as PNG: the latency distribution, throughput over batch size, quality against speed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.result import BenchmarkResult, Metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = (6.4, 3.6)
_DPI = 80
_OF_BATCH = re.compile(r"output_tokens_per_second_(batch|rate)_([\d.]+)")
_LATENCIES = {"ttft": "time to first token", "itl": "between tokens", "e2e": "whole answer"}


@dataclass(frozen=True)
class Point:
    """A model in the plot of quality against speed: its name, tokens a second, and the share of correct answers."""

    name: str
    speed: float
    quality: float


def latency(title: str, result: BenchmarkResult) -> bytes:
    """Return a plot of the share of samples below each time; empty when the result has no times."""
    known = [(words, result.samples.get(name, [])) for name, words in _LATENCIES.items()]
    known = [(words, samples) for words, samples in known if samples]
    if not known:
        return b""
    figure = _figure(title, "ms", "share of samples")
    for words, samples in known:
        times = sorted(1000 * sample for sample in samples)
        figure.axes[0].step(
            times, [(number + 1) / len(times) for number in range(len(times))], where="post", label=words
        )
    figure.axes[0].set_xscale("log")
    figure.axes[0].legend()
    return _png(figure)


def throughput(title: str, result: BenchmarkResult) -> bytes:
    """Return a plot of tokens a second over batch sizes or request rates, with intervals; empty when there are none."""
    found = [
        (float(match[2]), match[1], metric)
        for metric in result.metrics
        if (match := _OF_BATCH.fullmatch(metric.name)) and metric.value is not None
    ]
    if not found:
        return b""
    figure = _figure(title, "requests a second" if found[0][1] == "rate" else "prompts at once", "tokens a second")
    sizes, metrics = [size for size, _, _ in found], [metric for _, _, metric in found]
    values = [metric.value or 0.0 for metric in metrics]
    figure.axes[0].errorbar(sizes, values, yerr=_spans(metrics), marker="o", capsize=3)
    figure.axes[0].set_ylim(bottom=0)
    return _png(figure)


def quality(points: Sequence[Point]) -> bytes:
    """Return a plot of the share of correct answers over tokens a second, a point for each model."""
    figure = _figure("quality against speed", "tokens a second", "share of correct answers")
    for point in points:
        figure.axes[0].plot([point.speed], [point.quality], "o")
        figure.axes[0].annotate(point.name, (point.speed, point.quality), (4, 4), textcoords="offset points")
    return _png(figure)


def points(results: Iterable[tuple[str, BenchmarkResult]]) -> tuple[Point, ...]:
    """Return the models, by name, that have both a speed and a quality among their results."""
    speeds: dict[str, float] = {}
    shares: dict[str, float] = {}
    for name, result in results:
        for metric in result.metrics:
            if metric.value is None:
                continue
            if _OF_BATCH.fullmatch(metric.name):
                speeds[name] = max(speeds.get(name, 0.0), metric.value)
            elif metric.unit == "1" and metric.better == "higher":
                shares.setdefault(name, metric.value)
    return tuple(Point(name, speeds[name], shares[name]) for name in speeds if name in shares)


def _spans(metrics: Iterable[Metric]) -> list[list[float]]:
    below, above = [], []
    for metric in metrics:
        value, interval = metric.value or 0.0, metric.interval
        below.append(value - interval.low if interval else 0.0)
        above.append(interval.high - value if interval else 0.0)
    return [below, above]


def _figure(title: str, across: str, up: str) -> Figure:
    from matplotlib.figure import Figure  # Its import takes a second, and most runs draw nothing.

    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize="medium", parse_math=False)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    return figure


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
