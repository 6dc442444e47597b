"""Memory and time for models of extreme sizes, each at half its size and whole: `python -m bench.bounds`.

Memory is that of the command and its children together, without clamd's own, as it is one server for all. No model may
raise it beyond the limit, and twice the work may take about twice the time, not four times.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measuring import Measurement, measure
from bench.models import write_sharded, write_small
from weighbridge.scanners.clamd.database import write_test_only

MAX_RSS = 400 * 1000**2
#: The largest ratio of the time for the whole to that for its half.
MAX_GROWTH = 3.0
#: The approximate bytes of a tensor's entry in the headers written here.
_ENTRY_SIZE = 130


@dataclass(frozen=True)
class Case:
    """A model of an extreme size.

    Attributes:
        name: what is measured.
        size: its amount.
        write: writes a model of a size into an empty folder.
        commands: the commands; the last one is measured, earlier ones prepare it.
    """

    name: str
    size: int
    write: Callable[[Path, int], None]
    commands: tuple[tuple[str, ...], ...] = (("ingest", "file:{folder}", "--name", "much", "--json"),)


def _header(number: int, size: int) -> bytes:
    """Return a safetensors file of empty tensors with a header of about that many bytes."""
    entries = {
        f"model.layers.{number}.experts.{expert}.mlp.down_proj.weight_of_a_mixture": {
            "dtype": "BF16",
            "shape": [0, 4096],
            "data_offsets": [0, 0],
        }
        for expert in range(max(1, size // _ENTRY_SIZE))
    }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _headers(folder: Path, count: int) -> None:
    for number in range(1, count + 1):
        (folder / f"model-{number:05d}-of-{count:05d}.safetensors").write_bytes(_header(number, 3_000_000))


def _one_header(folder: Path, size: int) -> None:
    (folder / "model.safetensors").write_bytes(_header(1, size))


def _zip(folder: Path, members: int) -> None:
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        for number in range(members):
            archive.writestr(f"part-{number // 1000}/{number}.txt", f"{number}")


def _tokenizer(folder: Path, size: int) -> None:
    words = {f"word{number}": number for number in range(size // 22)}
    text = json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": words, "merges": []}})
    (folder / "tokenizer.json").write_text(text)


def _files(folder: Path, count: int) -> None:
    for number in range(count):
        path = folder / f"part-{number // 1000}" / f"{number}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"number": number}))


def _catalog(folder: Path, count: int) -> None:
    """Write a models file of `count` models; each sync after another `VERSION` file is a new version of every one."""
    for number in range(count):
        write_small(folder / "models" / f"model-{number}", number)
    entries = "".join(
        f"- {{name: model-{number}, source: {{file: {{path: {folder}/models/model-{number}}}}}}}\n"
        for number in range(count)
    )
    (folder / "models.yaml").write_text(f"models:\n{entries}")


def _shards(folder: Path, count: int) -> None:
    write_sharded(folder, shards=count, shard_size=4096)


_SYNC = ("sync", "--models", "{folder}/models.yaml", "--json")
CASES = (
    Case("shards", 2_000, _shards),
    Case("headers of 3 MB", 20, _headers),
    Case("bytes of one header", 6_000_000, _one_header),
    Case("bytes of one header", 90_000_000, _one_header),
    Case("bytes of a tokenizer.json", 33_000_000, _tokenizer),
    Case("members of a zip", 100_000, _zip),
    Case("files", 20_000, _files),
    Case("models, taken in", 1_000, _catalog, (_SYNC,)),
    Case("models, unchanged", 1_000, _catalog, (_SYNC, _SYNC)),
    Case("models, listed", 1_000, _catalog, (_SYNC, ("list", "--json"))),
)


def main() -> int:
    """Measure every case at half its size and whole, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m bench.bounds", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the cases' names")
    parser.add_argument("--whole", action="store_true", help="without the halves")
    options = parser.parse_args()
    console = Console()
    table = Table(title="memory of the whole family, 400 MB at most; twice the work, 3 times as long at most", box=None)
    for header in ("", "much", "wall s", "of half, s", "peak RSS MB", "exit status", ""):
        table.add_column(header, justify="right" if header[:1] in "mwop" else "left")
    for case in CASES:
        if options.only in case.name:
            console.print(f"[dim]{case.name}[/]")
            half = None if options.whole else run(case, case.size // 2)
            table.add_row(*_row(case, half, run(case, case.size)))
    console.print(table)
    return 0


def run(case: Case, size: int) -> Measurement:
    """Write a case at a size and measure its last command."""
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-bounds-"))
    try:
        (folder / "model").mkdir()
        case.write(folder / "model", size)
        write_test_only(folder / "signatures")
        (folder / "policy.yaml").write_text("name: bench\nextends: standard\nclamav: {database: any}\n")
        environment = {
            "WEIGHBRIDGE_HOME": str(folder / "home"),
            "WEIGHBRIDGE_CLAMAV_DATABASE": str(folder / "signatures"),
            "WEIGHBRIDGE_POLICY": str(folder / "policy.yaml"),
            "WEIGHBRIDGE_VIA": "direct",
        }
        for command in case.commands:
            words = [word.format(folder=folder / "model") for word in command]
            done = measure([sys.executable, "-m", "weighbridge", *words], environment=environment, log=folder / "log")
            if done.status not in (0, 2):  # 2: the gate rejected it, which is work as well.
                raise SystemExit(f"{' '.join(words)} failed:\n{(folder / 'log').read_text()[-3000:]}")
        return done
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _row(case: Case, half: Measurement | None, whole: Measurement) -> tuple[str, ...]:
    met = whole.peak_rss <= MAX_RSS and (half is None or whole.wall_s <= MAX_GROWTH * half.wall_s)
    return (
        case.name,
        f"{case.size:,}",
        f"{whole.wall_s:.1f}",
        f"{half.wall_s:.1f}" if half else "",
        f"{whole.peak_rss / 1e6:.0f}",
        str(whole.status),
        "met" if met else "MISSED",
    )


if __name__ == "__main__":
    sys.exit(main())
