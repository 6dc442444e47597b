"""The command `weighbridge leaderboard`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group as Shown
from rich.table import Table
from rich.text import Text

from weighbridge.benchmarks.leaderboard import Filter, RankedGroup, Row
from weighbridge.cli.console import AsJSONList, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.text import shown
from weighbridge.errors import UsageError
from weighbridge.intake.opening import open_catalog
from weighbridge.intake.ranking import RankingRequest, rank
from weighbridge.views.leaderboard_files import write_csv, write_parquet
from weighbridge.views.text import count_text, interval_text, metric_text

#: Units that are written beside each value, as it is converted.
_CONVERTED = ("", "s", "bytes", "1")
#: Columns of a terminal from which on licences are shown.
_WIDE = 100
_UNITS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    example = examples("weighbridge leaderboard --max-params 10e9 --sort ttft_p50")
    app.command("leaderboard", epilog=example)(_leaderboard)


def _leaderboard(
    architecture: Annotated[str, typer.Option(help="Only this one: llama, bert, whisper.")] = "",
    min_params: Annotated[str, typer.Option(help="Number of weights: 135M, 7b, 1e9.")] = "",
    max_params: Annotated[str, typer.Option(help="Number of weights: 135M, 7b, 10e9.")] = "",
    licence: Annotated[str, typer.Option(help="Only this one: apache-2.0.")] = "",
    task: Annotated[str, typer.Option(help="Only this one: text-generation.")] = "",
    benchmark: Annotated[str, typer.Option("--benchmark", "-b", help="Only this one; all by default.")] = "",
    sort: Annotated[str, typer.Option(help="The metric to rank by; each benchmark's main one by default.")] = "",
    definition: Annotated[str, typer.Option(help="Only results of this one: inference_latency/1.")] = "",
    hardware: Annotated[str, typer.Option(help="Only results of machines with this in their name: H200.")] = "",
    csv: Annotated[Path | None, typer.Option(help="Write the rows to a CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the rows to a parquet file.")] = None,
    json_: AsJSONList = False,
) -> None:
    """Rank the versions that passed by a benchmark; only comparable results are ranked against each other."""
    weights = _number(min_params, 0.0), _number(max_params, float("inf"))
    wanted = Filter(architecture, *weights, licence, task, definition, hardware)
    with open_catalog(Settings()) as catalog:
        ranking = rank(RankingRequest(wanted, benchmark, sort), catalog)
    groups = ranking.groups
    if csv:
        write_csv(groups, csv)
    if parquet:
        write_parquet(groups, parquet)
    rows = [row.to_json() for group in groups for row in group.rows]
    nothing = "No version fits." if ranking.measured else "No results yet: weighbridge benchmark NAME"
    say(
        "leaderboard-row",
        rows,
        lambda: out.print(Shown(*map(_drawn, groups)) if groups else nothing, crop=False),
        json_,
    )


def _number(text: str, default: float) -> float:
    if not text:
        return default
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d{1,2})?)([kmbt]?)", text.strip().lower())
    if not found:
        raise UsageError(f"“{text}” is not a number of weights.", "Write 135M, 7b or 10e9.")
    return float(found[1]) * _UNITS[found[2]]


def _drawn(group: RankedGroup) -> Shown:
    """Render one group: what was measured, where and how, its rows, and notes about some of them."""
    unit = next((row.metric.unit for row in group.rows if row.metric), "")
    plain = unit not in _CONVERTED
    table = Table(title=_title(group.metric, group.rows[0].result), title_justify="left", box=None, pad_edge=False)
    table.header_style, table.title_style = "dim", ""
    wide = out.width >= _WIDE
    for header in ("", "model", unit if plain else "value", "95 % interval", "n", "weights", *(["licence"] * wide)):
        table.add_column(header, justify="left" if header in ("model", "licence", "") else "right", overflow="fold")
    notes = []
    for row in group.rows:
        card, metric = row.version.card, row.metric
        weights = card.get("parameter_count")
        value = metric_text(metric.value, "" if plain else unit) if metric and metric.value is not None else ""
        table.add_row(
            Text(_rank_text(row), style="bold green" if row.possible == (1, 1) else ""),
            Text(shown(row.names), style="" if row.rank else "dim"),
            value,
            interval_text(metric) if metric else "",
            str(metric.n) if metric else "",
            count_text(weights) if isinstance(weights, int) else "",
            *([Text(shown(str(card.get("licence") or "")))] * wide),
        )
        told = [row.reason, f"noisy: {row.result.noisy}" if row.result.noisy else ""]
        notes += [Text(shown(f"{row.names}: {note}"), style="yellow") for note in told if note]
    return Shown(table, *notes)


def _rank_text(row: Row) -> str:
    """Return a rank, with the range that its interval allows where it is wider: `2 (1-3)`."""
    if row.rank is None or row.possible is None:
        return "-"
    best, worst = row.possible
    return str(row.rank) if best == worst == row.rank else f"{row.rank} ({best}-{worst})"


def _title(metric: str, result: BenchmarkResult) -> Text:
    """Return what all results of a group have in common."""
    libraries = (name for name in ("torch", "transformers", "lm_eval") if result.software.get(name))
    versions = ", ".join(f"{name} {'.'.join(result.software[name].split('.')[:2])}" for name in libraries)
    chosen = ", ".join(
        f"{name} {_setting_text(value)}"
        for name, value in sorted(result.settings.items())
        if name != "n" and value not in ("", None)
    )
    machine = result.machine or "an unknown machine"
    return Text.assemble(
        (f"\n{metric}", "bold"),
        shown(f"  {result.definition} on {machine}"),
        ("\n" + shown(versions if result.failure else f"{chosen}; {versions}"), "dim"),
    )


def _setting_text(value: object) -> str:
    return "/".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
