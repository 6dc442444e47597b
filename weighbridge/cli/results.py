"""The command `weighbridge results`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.planning import comparable
from weighbridge.cli.console import AsJSONList, NameArgument, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.result import BenchmarkResult, Metric
from weighbridge.errors import UsageError
from weighbridge.intake.lookup import find
from weighbridge.intake.opening import open_catalog
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
            having = _having(found, explain)
            explained = [explanation(one, metric, comparable(catalog, one)) for one, metric in having]
            tables = [explanation_table(facts, metric) for facts, (_, metric) in zip(explained, having, strict=True)]
            say("explanation", explained, lambda: _print(tables), json_)
            return
    nothing = f"Nothing was measured yet: weighbridge benchmark {name}"
    say("result", [one.to_json() for one in found], lambda: _print(list(map(result_table, found)) or [nothing]), json_)


def _having(results: list[BenchmarkResult], name: str) -> list[tuple[BenchmarkResult, Metric]]:
    """Return the results that have a metric, with it. Raises UsageError where none has it."""
    having = [(result, metric) for result in results if (metric := result.metric(name)) is not None]
    if not having:
        known = sorted({metric.name for result in results for metric in result.metrics})
        raise UsageError(f"It has no metric “{name}”.", f"There are: {', '.join(known) or 'none yet'}.")
    return having


def _print(parts: list[Any]) -> None:
    """Print tables one below the other, with an empty line after each."""
    for part in parts:
        out.print(part, "", sep="\n", crop=False)
