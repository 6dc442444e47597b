"""Each source against its native client: `python -m bench.sources`, or with `--kinds s3,url --size 256` for a look.

A pair is the native client that fetches a model and sha256sum that reads it; `weighbridge fetch` does both in one pass.
They run in turn, in the same run, with the same server. Our home is empty but exists, as creating the catalog's tables
is not part of a fetch. Then the wire is cut at 90 % and the same command is repeated until it succeeds: the bytes that
the server sends after the cut are those that had to be fetched again. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.contests import CONTESTS, Contest
from bench.cutting import CutWire
from bench.measuring import Measurement, measure

BIN = Path(sys.executable).parent
MAX_RSS = 400 * 1000**2
MAX_RSS_XET = 1000**3
MAX_AGAIN = 0.11
CUT_AT = 0.9
#: Seconds before each contestant: a virtual machine returns freed memory to its host, and the next contestant pays for
#: getting it again. With the pause, every contestant pays.
PAUSE_S = 5
#: Runs after a cut before a source counts as unable to resume.
_ATTEMPTS = 4


@dataclass(frozen=True)
class Result:
    """One source: its native pairs, ours, and what a cut costs.

    Attributes:
        kind: the source kind.
        native: the runs of each client.
        ours: the runs of `weighbridge fetch`.
        again: the ratio of bytes sent after the cut to the model's bytes; None where the wire cannot be cut.
    """

    kind: str
    native: dict[str, list[Measurement]]
    ours: list[Measurement]
    again: float | None


def main() -> int:
    """Run the contests and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sources", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the model")
    parser.add_argument("--kinds", default=",".join(CONTESTS), help="sources, separated by commas")
    parser.add_argument("--json", type=Path, help="file for the raw figures")
    options = parser.parse_args()
    console, results = Console(), []
    for kind in options.kinds.split(","):
        folder = Path(tempfile.mkdtemp(prefix=f"weighbridge-bench-{kind}-"))
        try:
            with CONTESTS[kind](folder, options.size * 1024**2) as contest:
                results.append(_compete(kind, contest, folder, options.rounds, console))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    console.print(table(results, f"{options.size} MiB, {os.cpu_count()} cores, {options.rounds} rounds, medians"))
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    return 0


def _compete(kind: str, contest: Contest, folder: Path, rounds: int, console: Console) -> Result:
    native: dict[str, list[Measurement]] = {name: [] for name in contest.native}
    ours = []
    for number in range(rounds):
        console.print(f"[dim]{kind}: round {number + 1} of {rounds}[/]")
        for name, command in contest.native.items():
            target = folder / "native"
            target.mkdir()
            time.sleep(PAUSE_S)
            hashing = f"find {target} -type f -not -path '*/.git/*' -print0 | xargs -0 sha256sum"
            native[name].append(_run(["sh", "-c", f"cd {target} && {command} && {hashing}"], contest, folder))
            shutil.rmtree(target)
        _run([str(BIN / "weighbridge"), "list"], contest, folder)
        time.sleep(PAUSE_S)
        ours.append(_fetch(contest, folder, contest.port))
        shutil.rmtree(folder / "home")
    return Result(kind, native, ours, _cut(contest, folder))


def _fetch(contest: Contest, folder: Path, port: int) -> Measurement:
    return _run([str(BIN / "weighbridge"), "fetch", contest.uri(port), "--json"], contest, folder, port)


def _run(command: list[str], contest: Contest, folder: Path, port: int = 0, *, may_fail: bool = False) -> Measurement:
    log = folder / "log"
    environment = {
        "WEIGHBRIDGE_HOME": str(folder / "home"),
        "WEIGHBRIDGE_POLICY": "minimal",
        **contest.environment(port or contest.port),
    }
    done = measure(command, environment=environment, log=log)
    if done.status != 0 and not may_fail:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    return done


def _cut(contest: Contest, folder: Path) -> float | None:
    """Return the share of the model that is sent again when the wire is cut at 90 %."""
    with CutWire(contest.port, int(contest.size * CUT_AT)) as wire:
        command = [str(BIN / "weighbridge"), "fetch", contest.uri(wire.port), "--json"]
        for _ in range(_ATTEMPTS):
            if _run(command, contest, folder, wire.port, may_fail=True).status == 0:
                break
        else:
            raise SystemExit(f"after the cut:\n{(folder / 'log').read_text()[-3000:]}")
        return wire.after_cut / contest.size if wire.cut.is_set() else None


def table(results: list[Result], title: str) -> Table:
    """Return a table with one row for each pair."""
    shown = Table(title=title, box=None, pad_edge=False, header_style="dim")
    for header in ("source", "against", "its s", "ours s", "ratio", "aim 1.0", "RSS MB", "again after a cut"):
        shown.add_column(header, justify="left" if header in ("source", "against", "aim 1.0") else "right")
    for result in results:
        ours_s = statistics.median(run.wall_s for run in result.ours)
        rss = statistics.median(run.peak_rss for run in result.ours)
        limit = MAX_RSS_XET if result.kind == "xet" else MAX_RSS
        again = "" if result.again is None else f"{result.again:.1%} {_met(result.again <= MAX_AGAIN)}"
        for name, runs in result.native.items():
            its_s = statistics.median(run.wall_s for run in runs)
            ratio = ours_s / its_s
            memory = f"{rss / 1e6:.0f} {_met(rss <= limit)}"
            shown.add_row(
                result.kind, name, f"{its_s:.2f}", f"{ours_s:.2f}", f"{ratio:.2f}", _met(ratio <= 1), memory, again
            )
    return shown


def _met(yes: bool) -> str:
    return "met" if yes else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
