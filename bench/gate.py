"""The gate beside other scanners of models, over the same folders: `python -m bench.gate`, set up by `make bench`.

Each scanner reads each folder alone, through its own command. A hostile folder counts as caught when the scanner
reports it; a harmless one as a false alarm. A folder that a scanner cannot read is counted separately.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from tests.gate.harmless import HARMLESS
from tests.gate.hostile import HOSTILE
from tests.gate.sample import Sample
from tests.services.clamd import signatures

Alarm = Literal["alarm", "quiet", "unread"]
ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".venv" / "gate" / "bin"
#: It checks each file, and each member of a zip, that looks like a pickle; more than LIKELY_SAFE is an alarm.
_FICKLING = """
import io, sys, zipfile
from pathlib import Path
from fickling.analysis import Severity, check_safety
from fickling.fickle import Pickled
worst, broken = Severity.LIKELY_SAFE, False
for path in Path(sys.argv[1]).rglob("*"):
    if not path.is_file():
        continue
    parts = [path.read_bytes()]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            parts = [archive.read(name) for name in archive.namelist() if name.endswith((".pkl", ".npy"))]
    elif path.suffix not in (".bin", ".pkl", ".pt", ".pth", ".ckpt", ".npy", ".joblib", ".dat"):
        continue
    for part in parts:
        try:
            worst = max(worst, check_safety(Pickled.load(io.BytesIO(part))).severity)
        except Exception:
            broken = True
sys.exit(1 if worst > Severity.LIKELY_SAFE else 2 if broken else 0)
"""


@dataclass(frozen=True)
class Count:
    """The results of one scanner: names of folders by answer."""

    caught: tuple[str, ...]
    missed: tuple[str, ...]
    false_alarms: tuple[str, ...]
    unread: int


def _status(command: list[str], meanings: Mapping[int, Alarm], environment: Mapping[str, str]) -> Alarm:
    try:
        ran = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "unread"
    return meanings.get(ran.returncode, "unread")


def scanners(folder: Path) -> dict[str, Callable[[Path], Alarm]]:
    """Return a function for each scanner that scans one folder; `folder` has our own home and signatures."""
    foreign = {**os.environ, "PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}
    foreign.pop("PYTHONPATH", None)
    ours = {
        **os.environ,
        "WEIGHBRIDGE_HOME": str(folder / "home"),
        "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(folder / "signatures")),
    }
    policies = {}
    for name in ("standard", "strict"):
        policies[name] = folder / f"{name}.yaml"
        policies[name].write_text(f"name: {name}\nextends: {name}\nclamav: {{database: any}}\n")
    command = [sys.executable, "-m", "weighbridge", "scan"]
    yes: Mapping[int, Alarm] = {0: "quiet", 1: "alarm"}

    def weighbridge(name: str) -> Callable[[Path], Alarm]:
        meanings: Mapping[int, Alarm] = {0: "quiet", 2: "alarm"}
        return lambda path: _status([*command, str(path), "--json", "--policy", str(policies[name])], meanings, ours)

    return {
        "Weighbridge, standard": weighbridge("standard"),
        "Weighbridge, strict": weighbridge("strict"),
        "picklescan": lambda path: _status([str(TOOLS / "picklescan"), "-p", str(path)], yes, foreign),
        "modelscan": lambda path: _status([str(TOOLS / "modelscan"), "-p", str(path)], {**yes, 3: "quiet"}, foreign),
        "modelaudit": lambda path: _status([str(TOOLS / "modelaudit"), "scan", str(path)], yes, foreign),
        "fickling": lambda path: _status([str(TOOLS / "python"), "-c", _FICKLING, str(path)], yes, foreign),
    }


def count(ask: Callable[[Path], Alarm], folders: Mapping[str, tuple[Sample, Path]]) -> Count:
    """Return the results of one scanner for every folder."""
    answers = {name: ask(path) for name, (_, path) in folders.items()}
    hostile = [name for name, (sample, _) in folders.items() if sample.hostile]
    harmless = [name for name, (sample, _) in folders.items() if not sample.hostile]
    return Count(
        tuple(name for name in hostile if answers[name] == "alarm"),
        tuple(name for name in hostile if answers[name] != "alarm"),
        tuple(name for name in harmless if answers[name] == "alarm"),
        sum(answer == "unread" for answer in answers.values()),
    )


def main() -> int:
    """Write the folders, run every scanner, print one table."""
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    parser.add_argument("--only", default="", help="names of scanners, separated by commas")
    parser.add_argument("--json", type=Path, help="file for the answers by folder")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="weighbridge-gate-") as name:
        folder = Path(name)
        folders = {}
        for sample in (*HOSTILE, *HARMLESS):
            path = folder / "models" / sample.name
            for file, content in sample.content().items():
                (path / file).parent.mkdir(parents=True, exist_ok=True)
                (path / file).write_bytes(content)
            folders[sample.name] = (sample, path)
        wanted = [part for part in options.only.split(",") if part]
        chosen = {tool: ask for tool, ask in scanners(folder).items() if not wanted or tool.split(",")[0] in wanted}
        counts = {tool: count(ask, folders) for tool, ask in chosen.items()}
    table = Table(title=f"{len(HOSTILE)} hostile, {len(HARMLESS)} harmless folders", box=None, header_style="dim")
    for header in ("scanner", "caught", "false alarms", "could not read"):
        table.add_column(header, justify="left" if header == "scanner" else "right")
    for tool, found in counts.items():
        caught, alarms = f"{len(found.caught)}/{len(HOSTILE)}", f"{len(found.false_alarms)}/{len(HARMLESS)}"
        table.add_row(tool, caught, alarms, str(found.unread))
    console.print(table)
    for tool, found in counts.items():
        if tool.startswith("Weighbridge, standard"):
            console.print(f"missed: {', '.join(found.missed) or 'nothing'}")
            console.print(f"false alarms: {', '.join(found.false_alarms) or 'none'}")
    if options.json:
        options.json.write_text(json.dumps({tool: found.__dict__ for tool, found in counts.items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
