"""The command `weighbridge leaderboard`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group as Shown
from rich.markup import escape
from rich.table import Table

from weighbridge import terminal
from weighbridge.console import AsJSON, out, say
from weighbridge.errors import UsageError
from weighbridge.leaderboard import Filter, Group, frame, leaderboard
from weighbridge.settings import Settings
from weighbridge.workspace import open_catalog

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("leaderboard")(_leaderboard)


def _leaderboard(
    architecture: Annotated[str, typer.Option(help="Only this one: llama, bert, whisper.")] = "",
    min_params: Annotated[str, typer.Option(help="Number of weights: 135M, 7b, 1e9.")] = "",
    max_params: Annotated[str, typer.Option(help="Number of weights: 135M, 7b, 10e9.")] = "",
    licence: Annotated[str, typer.Option(help="Only this one: apache-2.0.")] = "",
    task: Annotated[str, typer.Option(help="Only this one: text-generation.")] = "",
    benchmark: Annotated[str, typer.Option("--benchmark", "-b", help="Only this one; all by default.")] = "",
    sort: Annotated[str, typer.Option(help="The metric to rank by; each benchmark's main one by default.")] = "",
    csv: Annotated[Path | None, typer.Option(help="Write the rows to a CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the rows to a parquet file.")] = None,
    json_: AsJSON = False,
) -> None:
    """Rank what passed by a benchmark; only what is comparable is ranked against each other."""
    wanted = Filter(architecture, _number(min_params, 0.0), _number(max_params, float("inf")), licence, task)
    with open_catalog(Settings()) as catalog:
        versions = [version for model in catalog.models() for version in catalog.versions(model.name)]
        groups = leaderboard(versions, catalog.results(benchmark=benchmark or None), wanted, sort)
    if csv:
        frame(groups).to_csv(csv, index=False)
    if parquet:
        frame(groups).to_parquet(parquet, index=False)
    rows = [row.to_json() for group in groups for row in group.rows]
    say(rows, lambda: out.print(Shown(*map(_table, groups)) if groups else _nothing(), crop=False), json_)


def _number(text: str, default: float) -> float:
    if not text:
        return default
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d{1,2})?)([kmbt]?)", text.strip().lower())
    if not found:
        raise UsageError(f"“{text}” is no number of weights.", "Write 135M, 7b or 10e9.")
    return float(found[1]) * _UNITS[found[2]]


def _nothing() -> str:
    return "No results yet: weighbridge benchmark NAME"


def _table(group: Group) -> Table:
    result = group.rows[0].result
    machine = result.hardware.get("gpu") or result.hardware.get("endpoint") or result.hardware.get("processor", "")
    title = f"[bold]{group.metric}[/] [dim]{result.definition} on {escape(str(machine))}, {group.key}[/]"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for header in ("", "model", "value", "95 % interval", "n", "weights", "licence", ""):
        table.add_column(header, justify="left" if header in ("model", "licence", "") else "right")
    for row in group.rows:
        card, metric = row.version.card, row.metric
        interval = metric.interval if metric else None
        table.add_row(
            str(row.rank or ""),
            escape(f"{row.version.name} {row.version.version}"),
            terminal.metric_text(metric.value, metric.unit) if metric and metric.value is not None else "",
            f"{interval.low:.4g} to {interval.high:.4g}" if interval else "",
            str(metric.n) if metric else "",
            terminal.count_text(card.get("parameter_count")) if card.get("parameter_count") else "",
            escape(str(card.get("licence") or "")),
            escape(row.reason or ("noisy" if row.result.noisy else "")),
        )
    return table
