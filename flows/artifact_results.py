"""The artifacts of runs that use models: a table and a plot for each result, a table of a cache.

A plot is an image artifact whose address contains the image itself: the server stores no files, and a browser cannot
reach the worker's. Not here: how a plot is drawn (result_plots).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from prefect.artifacts import create_image_artifact, create_table_artifact

from flows.artifact_keys import key
from flows.artifact_report import outcome_stands
from flows.result_plots import latency, points, quality, throughput
from weighbridge.benchmarks.planning import Measurement
from weighbridge.domain.result import BenchmarkResult, Metric
from weighbridge.intake.preloading import Preloaded
from weighbridge.views.text import metric_text

_PLOTS = {"inference_latency": latency, "throughput": throughput}


def keep_result(measurement: Measurement, result: BenchmarkResult) -> None:
    """Write a result to artifacts of the present flow run: its table, and its plot where it has one."""
    model = f"{measurement.model} {measurement.version}".strip()
    title = f"{model}: {result.benchmark}"
    with outcome_stands(title):
        create_table_artifact(
            [_row(metric) for metric in result.metrics],
            key=key(result.benchmark, measurement.model),
            description=_described(title, result),
        )
        plot = _PLOTS.get(result.benchmark)
        image = plot(title, result) if plot and not result.failure else b""
        if image:
            _keep_image(image, key(f"plot-{result.benchmark}", measurement.model), title)


def keep_comparison(results: Iterable[tuple[str, BenchmarkResult]]) -> None:
    """Write the plot of quality against speed to an artifact, where a model has both."""
    with outcome_stands("quality against speed"):
        found = points(results)
        if found:
            _keep_image(quality(found), "plot-quality-speed", "quality against speed")


def keep_preloaded(done: Iterable[Preloaded]) -> None:
    """Write the content of the cache to an artifact, one row for each model."""
    with outcome_stands("preload"):
        create_table_artifact([one.to_json() for one in done], key="preload", description="In the Hugging Face cache")


def _keep_image(image: bytes, name: str, title: str) -> None:
    address = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    create_image_artifact(address, key=name, description=title)


def _row(metric: Metric) -> dict[str, str | int]:
    interval = metric.interval
    return {
        "metric": metric.name,
        "value": metric.reason if metric.value is None else metric_text(metric.value, metric.unit),
        "95 % from": metric_text(interval.low, metric.unit) if interval else "",
        "to": metric_text(interval.high, metric.unit) if interval else "",
        "n": metric.n,
    }


def _described(title: str, result: BenchmarkResult) -> str:
    facts = result.hardware
    machine = facts.get("gpu") or facts.get("endpoint") or facts.get("processor") or "an unknown machine"
    told = [f"{title} ({result.definition}) on {machine}, {result.duration_s:g} s."]
    told += [f"Failed: {result.failure}"] if result.failure else []
    told += [f"Noisy: {result.noisy}."] if result.noisy else []
    return " ".join(told)
