"""Runs the benchmarks and prints one table: `make bench`, or `python -m bench --rounds 1 --size 256` for a quick look.

All contestants run in the same run, in turn, on a model of random weights behind a loopback hub, with one clamd that
they share (without its cache of clean results). Figures are medians; ratios are of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import scenarios
from bench.scenarios import Result, Stage

#: The aims of the main job by row: the row to compare with, and the largest ratio.
AIMS = (
    ("e ingest", "d script", 0.9),
    ("e ingest", "slowest of a b c", 1.25),
    ("f one shard changed", "e ingest", 0.2),
    ("h sync 1,000 unchanged", "i bare requests", 1.5),
)
MAX_RSS = 400 * 1000**2
MIN_BUSY = 0.95


def main() -> int:
    """Run every scenario and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant")
    parser.add_argument("--size", type=int, default=2048, help="MiB of the model")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--models", type=int, default=1000, help="unchanged models of the sync")
    parser.add_argument("--json", type=Path, help="file for the raw figures")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-bench-"))
    console = Console()
    try:
        with Stage(folder, shards=options.shards, size=options.size * 1024**2, models=options.models) as stage:
            results = scenarios.run(stage, options.rounds, lambda text: console.print(f"[dim]{text}[/]"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    title = f"{options.shards} shards, {options.size} MiB, {os.cpu_count()} cores, {options.rounds} rounds, medians"
    console.print(figures(results, title), aims(results))
    if options.json:
        options.json.write_text(json.dumps([result.to_json() for result in results], indent=1))
    return 0


def figures(results: list[Result], title: str) -> Table:
    """Return a table of each contestant's cost."""
    table = Table(title=title, box=None, pad_edge=False, header_style="dim")
    for header in ("", "wall s", "min-max", "CPU s", "cores busy", "peak RSS MB", "requests", "note"):
        table.add_column(header, justify="left" if header in ("", "note") else "right")
    for result in results:
        walls = [run.wall_s for run in result.runs]
        table.add_row(
            result.name,
            f"{result.wall_s:.2f}",
            f"{min(walls):.2f}-{max(walls):.2f}",
            f"{result.cpu_s:.2f}",
            f"{result.busy:.0%}",
            f"{result.peak_rss / 1e6:.0f}",
            str(result.requests) if result.requests is not None else "",
            result.note,
        )
    return table


def aims(results: list[Result]) -> Table:
    """Return a table of each aim with its measured value, and whether it was met."""
    by_name = {result.name: result for result in results}
    slowest = max((by_name[name] for name in by_name if name[0] in "abc"), key=lambda result: result.wall_s)
    by_name["slowest of a b c"] = slowest
    table = Table(box=None, pad_edge=False, header_style="dim", title="aims")
    for header in ("aim", "measured", ""):
        table.add_column(header)
    rows = [
        (f"{one} ≤ {limit} of {other}", by_name[one].wall_s / by_name[other].wall_s, limit)
        for one, other, limit in AIMS
    ]
    for text, ratio, limit in rows:
        table.add_row(text, f"{ratio:.2f}", "met" if ratio <= limit else "MISSED")
    ingest, unchanged = by_name["e ingest"], by_name["g unchanged"]
    table.add_row("RSS of e ≤ 400 MB", f"{ingest.peak_rss / 1e6:.0f} MB", _met(ingest.peak_rss <= MAX_RSS))
    table.add_row("cores busy during e ≥ 95 %", f"{ingest.busy:.0%}", _met(ingest.busy >= MIN_BUSY))
    asked = unchanged.requests or 0
    table.add_row("unchanged asks at most twice", str(asked), _met(asked <= 2))
    table.add_row("unchanged reads no blob byte", unchanged.note, _met(unchanged.note.startswith("0 ")))
    return table


def _met(yes: bool) -> str:
    return "met" if yes else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
