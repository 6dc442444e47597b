"""Benchmark results for a terminal: a table of one run's metrics, and the explanation of one number."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from weighbridge.benchmarks.formulas import formula, samples_of
from weighbridge.domain.result import BenchmarkResult, Metric
from weighbridge.domain.text import shown
from weighbridge.views.text import bytes_text, interval_text, metric_text

#: Facts of a machine that are numbers of bytes.
_SIZES = ("memory", "gpu_memory")


def result_table(result: BenchmarkResult) -> Group:
    """Return the result of one run, a row for each metric."""
    machine = shown(result.machine or "an unknown machine")
    title = Text.assemble((result.benchmark, "bold"), (f" {result.definition} on {machine}", "dim"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("metric", overflow="fold")
    for header in ("value", "95 % interval", "n"):
        table.add_column(header, justify="right", overflow="fold")
    for metric in result.metrics:
        value = escape(metric.reason) if metric.value is None else metric_text(metric.value, metric.unit)
        table.add_row(metric.name, value, interval_text(metric), str(metric.n))
    told = {"red": result.failure, "yellow": result.noisy and f"noisy: {result.noisy}"}
    notes = [Text(shown(text), style=style) for style, text in told.items() if text]
    return Group(title, *([table] if result.metrics else []), *notes)


def explanation(result: BenchmarkResult, metric: Metric, comparable: Iterable[str]) -> dict[str, Any]:
    """Return how one number was computed, as plain JSON.

    Args:
        result: the result that holds it, with its samples.
        metric: the number.
        comparable: names of the other models that may be ranked against it.
    """
    found, samples = formula(result.benchmark, metric.name), samples_of(result, metric)
    interval = metric.interval
    return {
        "metric": metric.name,
        "value": metric.value,
        "unit": metric.unit,
        "better": metric.better,
        "reason": metric.reason,
        "benchmark": result.benchmark,
        "definition": result.definition,
        "formula": found.words,
        "n": metric.n,
        "samples": samples,
        "interval": {"low": interval.low, "high": interval.high, "level": interval.level} if interval else None,
        "interval_by": found.interval,
        "noisy": result.noisy,
        "settings": dict(result.settings),
        "hardware": dict(result.hardware),
        "software": dict(result.software),
        "comparable_key": result.comparable_key,
        "comparable_with": list(comparable),
        "manifest_digest": result.manifest_digest,
        "measured_at": result.started_at,
        "duration_s": result.duration_s,
    }


def explanation_table(facts: Mapping[str, Any], metric: Metric) -> Table:
    """Return an explanation as a table."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    value = metric.reason if metric.value is None else metric_text(metric.value, metric.unit)
    span = interval_text(metric)
    rows = {
        "number": f"{facts['metric']}: {value}, {facts['better']} is better",
        "is": facts["formula"],
        "definition": f"{facts['definition']} (docs/benchmarks.md)",
        "samples": _samples_text(facts["samples"], metric),
        "95 % interval": f"{span}, by {facts['interval_by']}" if span else facts["interval_by"],
        "noisy": facts["noisy"] or "no",
        "settings": _pairs(facts["settings"]),
        "machine": _pairs(facts["hardware"]),
        "software": _pairs(facts["software"]),
        "comparable": _comparable_text(facts["comparable_key"], facts["comparable_with"]),
        "of": facts["manifest_digest"],
        "measured": f"{facts['measured_at']}, in {facts['duration_s']:g} s",
    }
    for name, text in rows.items():
        table.add_row(name, escape(shown(text)))
    return table


def _samples_text(samples: Sequence[float], metric: Metric) -> str:
    known = [sample for sample in samples if math.isfinite(sample)]
    if not known:
        return f"n {metric.n}; no raw samples are kept"
    least, middle, most = (f"{value:.4g}" for value in (min(known), statistics.median(known), max(known)))
    return f"n {metric.n}; {len(samples):,} raw ones from {least} to {most}, median {middle} (all of them: --json)"


def _comparable_text(key: str, names: Sequence[str]) -> str:
    others = f"with {', '.join(names)}" if names else "with no other model yet"
    return f"{others}; equal definition, settings, machine and libraries ({key})"


def _pairs(facts: Mapping[str, Any]) -> str:
    known = {name: bytes_text(value) if name in _SIZES else value for name, value in facts.items()}
    return ", ".join(f"{name} {value}" for name, value in sorted(known.items()) if value not in ("", None, {}, []))
