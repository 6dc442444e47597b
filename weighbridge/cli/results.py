"""The command `weighbridge results`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.catalog import Catalog
from weighbridge.cli.console import AsJSONList, NameArgument, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.result import BenchmarkResult, Metric
from weighbridge.errors import UsageError
from weighbridge.intake.lookup import find
from weighbridge.intake.workspace import open_catalog
from weighbridge.views.results import explanation, explanation_table, result_table


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    example = examples("weighbridge results smollm2-135m-instruct --explain ttft_p50")
    app.command("results", epilog=example)(_results)


def _results(
    name: NameArgument,
    explain: Annotated[str, typer.Option(help="Say how this number came about: a metric, such as ttft_p50.")] = "",
    benchmark: Annotated[str, typer.Option("--benchmark", "-b", help="Only this one; all by default.")] = "",
    json_: AsJSONList = False,
) -> None:
    """Show what was measured of a model, or how one of its numbers came about.

    A number is traced to its definition, formula, samples, settings, machine and interval, and to the models that it
    may be compared with.
    """
    if benchmark and benchmark not in BENCHMARKS:
        raise UsageError(f"There is no benchmark “{benchmark}”.", f"Known ones: {', '.join(BENCHMARKS)}.")
    with open_catalog(Settings()) as catalog:
        version = find(catalog, name)
        found = catalog.results([version.manifest.digest], benchmark or None, samples=True)
        if explain:
            explained = _explained(catalog, found, explain)
            tables = [explanation_table(facts, metric) for facts, metric in explained]
            say("explanation", [facts for facts, _ in explained], lambda: _print(tables), json_)
            return
    nothing = f"Nothing was measured yet: weighbridge benchmark {name}"
    say("result", [one.to_json() for one in found], lambda: _print(list(map(result_table, found)) or [nothing]), json_)


def _explained(catalog: Catalog, results: list[BenchmarkResult], name: str) -> list[tuple[dict[str, Any], Metric]]:
    """Return how a metric of each result came about, with the metric. Raises UsageError where none has it."""
    having = [(result, metric) for result in results if (metric := result.metric(name)) is not None]
    if not having:
        known = sorted({metric.name for result in results for metric in result.metrics})
        raise UsageError(f"It has no metric “{name}”.", f"There are: {', '.join(known) or 'none yet'}.")
    return [(explanation(result, metric, _comparable(catalog, result)), metric) for result, metric in having]


def _comparable(catalog: Catalog, result: BenchmarkResult) -> list[str]:
    """Return the names of the other models that passed and may be ranked against a result."""
    versions, others = catalog.measured(result.benchmark)
    key, own = result.comparable_key, result.manifest_digest
    equal = {one.manifest_digest for one in others if one.comparable_key == key and not one.failure} - {own}
    return sorted(
        f"{one.name} {one.version}" for one in versions if one.status == "PASSED" and str(one.manifest.digest) in equal
    )


def _print(parts: list[Any]) -> None:
    """Print tables one below the other, with an empty line after each."""
    for part in parts:
        out.print(part, "", sep="\n", crop=False)
