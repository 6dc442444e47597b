"""A refresh of the catalogue of the whole Hub beside bare paging: `python -m bench.hub --models 2500000`.

A simulated Hub lists the models in another process. A minimal client pages through the same list and keeps nothing;
then an empty catalogue is filled, refreshed in full once more, and asked for recent changes. With `--quota` the Hub
also limits requests, and a refresh is held against the least time that its limit allows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.measuring import measure
from weighbridge.config.settings import Settings
from weighbridge.domain.hub_models import PassKind
from weighbridge.domain.refresh_request import PAGE_SIZE, RefreshRequest
from weighbridge.intake.hub_refresh import refresh
from weighbridge.intake.workspace import open_workspace
from weighbridge.net.hub.list_addresses import first_query

#: Seconds of a page at the Hub's limits of 500 requests in five minutes, without a token, and of 1,000 with a free one.
FLOORS = {"anonymous": 300 / 500, "free token": 300 / 1000}
MAX_RSS, MAX_OF_BARE, MAX_REQUESTS = 300 * 1000**2, 1.5, 1.02
MIB = 1024**2


@dataclass
class Refreshed:
    """What one pass cost.

    Attributes:
        name: which one.
        wall_s: from start to end, the process's own start included.
        cpu_s: processor time.
        rss: bytes, at the most.
        size: bytes of the catalogue on disk afterwards.
        requests: for pages.
        limited: of those, how many were answered with 429.
    """

    name: str
    wall_s: float
    cpu_s: float
    rss: int
    size: int
    requests: int
    limited: int


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.hub", description=__doc__)
    parser.add_argument("--models", type=int, default=2_500_000, help="that the Hub lists")
    parser.add_argument("--quota", type=int, default=0, help="requests of a window of five minutes; 0 for no limit")
    parser.add_argument("--window", type=float, default=300.0, help="seconds of a window")
    parser.add_argument("--quick", action="store_true", help="20,000 models, to see whether it works")
    parser.add_argument("--json", type=Path, help="file for the raw figures")
    parser.add_argument("--worker", choices=[*PassKind], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return _work(PassKind(options.worker))
    models = 20_000 if options.quick else options.models
    console = Console()
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-hub-") as folder, _hub(models) as url:
        bare_s, pages = _bare(url)
        console.print(f"[dim]bare paging: {bare_s:.0f} s for {pages} pages[/]")
        passes = [("first", PassKind.FULL), ("again", PassKind.FULL), ("recent", PassKind.RECENT)]
        done = [_refreshed(name, kind, url, Path(folder)) for name, kind in passes]
    limited = None
    if options.quota:
        temporary = tempfile.TemporaryDirectory(prefix="weighbridge-bench-hub-")
        with temporary as folder, _hub(models, options.quota, options.window) as url:
            limited = _refreshed("limited", PassKind.FULL, url, Path(folder))
    floor_s = max(0, pages - options.quota) / options.quota * options.window if options.quota else 0.0
    console.print(_table(bare_s, pages, [*done, *([limited] if limited else [])], floor_s))
    console.print(*_aims(bare_s, pages, done, limited, floor_s), sep="\n")
    if options.json:
        figures = {"bare_s": bare_s, "pages": pages, "passes": [asdict(one) for one in done], "floor_s": floor_s}
        options.json.write_text(json.dumps(figures | {"limited": limited and asdict(limited)}, indent=1))
    return 0


@contextmanager
def _hub(models: int, quota: int = 0, window_s: float = 300.0) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.simulators.hub_list", "--models", str(models)]
    command += ["--quota", str(quota), "--window", str(window_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def _bare(url: str) -> tuple[float, int]:
    """Page through the list with nothing but a client and a reader of JSON; return the seconds and the pages."""
    begun, pages = time.perf_counter(), 0
    address = f"{url}/api/models?{first_query(PassKind.FULL, (), 0, PAGE_SIZE)}"
    with httpx.Client(trust_env=False, timeout=60) as client:
        while address:
            answer = client.get(address).raise_for_status()
            json.loads(answer.content)
            pages += 1
            address = answer.links.get("next", {}).get("url", "")
    return time.perf_counter() - begun, pages


def _refreshed(name: str, kind: PassKind, url: str, folder: Path) -> Refreshed:
    before = _stats(url)
    environment = {"WEIGHBRIDGE_HOME": str(folder / "home"), "WEIGHBRIDGE_HUGGINGFACE_ENDPOINT": url, "HF_TOKEN": ""}
    log = folder / f"{name}.log"
    cost = measure([sys.executable, "-m", "bench.hub", "--worker", kind.value], environment=environment, log=log)
    assert cost.status == 0, log.read_text()[-2000:]
    after = _stats(url)
    size = sum(path.stat().st_size for path in (folder / "home").rglob("hub.db*"))
    requests, limited = (after[what] - before[what] for what in ("pages", "limited"))
    return Refreshed(name, cost.wall_s, cost.cpu_s, cost.peak_rss, size, requests, limited)


def _stats(url: str) -> dict[str, int]:
    found: dict[str, int] = httpx.get(f"{url}/__stats", trust_env=False).json()
    return found


def _work(kind: PassKind) -> int:
    os.environ.pop("HF_TOKEN", None)
    with open_workspace(Settings()) as workspace:
        refresh(RefreshRequest(kind), workspace)
    return 0


def _table(bare_s: float, pages: int, passes: list[Refreshed], floor_s: float) -> Table:
    table = Table(title=f"Refresh of the Hub's catalogue, {pages:,} pages")
    for column in ("pass", "wall s", "of bare paging", "processor s", "memory MB", "on disk MiB", "requests", "429"):
        table.add_column(column, justify="left" if column == "pass" else "right")
    table.add_row("bare paging", f"{bare_s:.1f}", "1.00", "", "", "", f"{pages:,}", "0")
    for one in passes:
        of_bare = f"{one.wall_s / bare_s:.2f}" if one.requests >= pages and one.name != "limited" else ""
        row = (one.name, f"{one.wall_s:.1f}", of_bare, f"{one.cpu_s:.1f}", f"{one.rss / 1e6:.0f}")
        table.add_row(*row, f"{one.size / MIB:.0f}", f"{one.requests:,}", f"{one.limited}")
    if floor_s:
        table.caption = f"The limit allows it in {floor_s:.0f} s at the least."
    return table


def _aims(bare_s: float, pages: int, done: list[Refreshed], limited: Refreshed | None, floor_s: float) -> Iterator[str]:
    first, most_rss = done[0], max(one.rss for one in done)
    yield _aim(first.wall_s <= MAX_OF_BARE * bare_s, f"import {first.wall_s / bare_s:.2f} of bare paging, at most 1.5")
    yield _aim(most_rss <= MAX_RSS, f"memory {most_rss / 1e6:.0f} MB, at most 300")
    yield _aim(first.requests <= MAX_REQUESTS * pages, f"requests {first.requests:,} for {pages:,} pages, at most 1.02")
    for name, page_s in FLOORS.items():
        share = first.wall_s / (pages * page_s)
        yield _aim(share <= 1, f"{name}: work takes {share:.2f} of the least time that the limit allows")
    if limited and floor_s:
        yield _aim(limited.wall_s <= 1.1 * floor_s, f"limited: {limited.wall_s / floor_s:.2f} of the least time")
        yield _aim(limited.limited == 0, f"limited: {limited.limited} times 429")


def _aim(kept: bool, text: str) -> str:
    return f"{'[green]kept[/]' if kept else '[red]not kept[/]'}  {text}"


if __name__ == "__main__":
    sys.exit(main())
