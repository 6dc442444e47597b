"""The mirror of the Hugging Face Hub beside nginx, which serves the same files, and olah: `python -m bench.mirror`.

Each server has one process. Requests and bytes are counted for some seconds each, with 1, 16 and 128 clients, of which
each sends its next request when it has the answer to the last. Downloads are by `hf download` into an empty cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.hubs import CONFIG, LARGE, MANY, PART, WEIGHTS, Hub, Size, download_s, fetch_s, hubs, olah, through
from bench.load import Received, Timing, load_for, receive_for

CLIENTS = (1, 16, 128)
MAX_RSS = 300 * 1000**2
MIN_OF_NGINX, MIN_OF_OLAH, MAX_DOWNLOAD = 0.9, 5.0, 1.1
MIB = 1024**2
_RESOLVE = f"/{LARGE}/resolve/main"
#: Small requests by their name: method and path.
SMALL = {"JSON": ("GET", f"/api/models/{LARGE}/revision/main"), "HEAD": ("HEAD", f"{_RESOLVE}/{CONFIG}")}
#: Large files by their name.
FILES = {"4 MiB": f"{_RESOLVE}/{PART}", "1 GiB": f"{_RESOLVE}/{WEIGHTS}"}
RANGES = "64 KiB ranges"


@dataclass
class Measured:
    """What one server did.

    Attributes:
        name: of the server.
        small: by what was asked for and the number of clients.
        large: by what was asked for and the number of clients.
        downloads: seconds of each `hf download` of the model of many files.
        rss: bytes of memory before the first request, and after each kind of them; empty where it was not measured.
        most_rss: the most that it ever had.
    """

    name: str
    small: dict[str, dict[int, Timing]] = field(default_factory=dict)
    large: dict[str, dict[int, Received]] = field(default_factory=dict)
    downloads: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    most_rss: int = 0


def main() -> int:
    """Serve the models, ask the servers in turn, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.mirror", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2, help="downloads of each server")
    parser.add_argument("--files", type=int, default=Size.files, help="of the model that is downloaded")
    parser.add_argument("--weights", type=int, default=Size.weights // MIB, help="MiB of the large file")
    parser.add_argument("--without-olah", action="store_true", help="measure ours and nginx only")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see whether it works")
    parser.add_argument("--json", type=Path, help="file for the raw figures")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds, options.files, options.weights = 0.3, 1, 300, 100
    size, console = Size(options.weights * MIB, options.files), Console()
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-mirror-") as name, ExitStack() as stack:
        folder = Path(name)
        served = stack.enter_context(hubs(folder, size))
        line = served.pop("line")
        found = {name: Measured(name) for name in served}
        _measure(served, found, options, CLIENTS, console)
        _download(served, found, options, folder, console)
        cold = _cold(line, folder / "through", console)
        if not options.without_olah:  # Last: what it has not answered in time, it goes on with.
            peer = {"olah": stack.enter_context(olah(folder / "olah", served["nginx"].url))}
            found |= {name: Measured(name) for name in peer}
            _measure(peer, found, options, (1,), console)
    rows = list(found.values())
    console.print(small_figures(rows), large_figures(rows), aims(found, cold))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in rows], indent=1))
    return 0


def _measure(
    served: Mapping[str, Hub],
    found: Mapping[str, Measured],
    options: argparse.Namespace,
    large_clients: Sequence[int],
    console: Console,
) -> None:
    _note_memory(served, found)
    for kind, (method, path) in SMALL.items():
        for clients in CLIENTS:
            for name, hub in served.items():
                timing = load_for(options.seconds, hub.url, [path], {}, clients, method)
                assert timing.statuses in ((200,), ()), (name, kind, timing.statuses)
                found[name].small.setdefault(kind, {})[clients] = timing
                console.print(f"[dim]{kind}, {clients}, {name}: {timing.rate:.0f} a second[/]")
    _note_memory(served, found)
    for kind, targets, headers in _large(options.weights * MIB):
        for clients in large_clients:
            for name, hub in served.items():
                received = receive_for(options.seconds, hub.url, targets, headers, clients)
                assert received.statuses in ((206,) if headers else (200,), ()), (name, kind, received.statuses)
                found[name].large.setdefault(kind, {})[clients] = received
                console.print(f"[dim]{kind}, {clients}, {name}: {received.rate / 1e6:.0f} MB a second[/]")
        _note_memory(served, found)


def _download(
    served: Mapping[str, Hub],
    found: Mapping[str, Measured],
    options: argparse.Namespace,
    folder: Path,
    console: Console,
) -> None:
    for number in range(options.rounds):
        for name in ("nginx", "ours"):
            seconds = download_s(served[name], MANY, folder / f"cache-{name}-{number}", {})
            found[name].downloads.append(seconds)
            console.print(f"[dim]hf download, {name}: {seconds:.1f} s[/]")
    _note_memory(served, found)


def _cold(line: Hub, folder: Path, console: Console) -> float:
    """Return how many times as long as from its Hub a large file takes that is handed on while it is stored."""
    direct = fetch_s(line.url, LARGE, WEIGHTS)
    with through(folder, line) as (hub, headers):
        handed_on = fetch_s(hub.url, LARGE, WEIGHTS, headers)
    console.print(f"[dim]cold: {handed_on:.1f} s, from the Hub {direct:.1f} s[/]")
    return handed_on / direct


def _large(weights: int) -> Iterable[tuple[str, Sequence[str], Mapping[str, str]]]:
    """Yield each kind of large request with its targets and headers."""
    drawn = random.Random(5)
    for kind, path in FILES.items():
        yield kind, [path], {}
    start = drawn.randrange(weights // 65536) * 65536
    yield RANGES, [FILES["1 GiB"]], {"Range": f"bytes={start}-{start + 65535}"}


def _note_memory(served: Mapping[str, Hub], found: Mapping[str, Measured]) -> None:
    for name, hub in served.items():
        if hub.pid:
            found[name].rss.append(hub.rss)
            found[name].most_rss = hub.most_rss


def small_figures(found: Sequence[Measured]) -> Table:
    """Return a table of the small requests: how many a second, and what they took."""
    table = Table(title=f"small requests; {os.cpu_count()} cores", box=None, pad_edge=False, header_style="dim")
    for header in ("", "clients"):
        table.add_column(header)
    for one in found:
        for header in ("a second", "p50 ms", "p99 ms"):
            table.add_column(f"{one.name} {header}", justify="right")
    for kind in SMALL:
        for clients in CLIENTS:
            cells = [cell for one in found for cell in _cells(one.small[kind][clients])]
            table.add_row(kind, str(clients), *cells)
    return table


def _cells(timing: Timing) -> tuple[str, str, str]:
    return f"{timing.rate:.0f}", f"{timing.quantile(0.5) * 1000:.1f}", f"{timing.quantile(0.99) * 1000:.1f}"


def large_figures(found: Sequence[Measured]) -> Table:
    """Return a table of the large requests and of downloads."""
    table = Table(title="large requests, MB a second; downloads, s", box=None, pad_edge=False, header_style="dim")
    for header in ("", "clients"):
        table.add_column(header)
    for one in found:
        table.add_column(one.name, justify="right")
    for kind in (*FILES, RANGES):
        for clients in CLIENTS:
            table.add_row(kind, str(clients), *(_megabytes(one.large[kind].get(clients)) for one in found))
    table.add_row("hf download", "1", *(" ".join(f"{seconds:.1f}" for seconds in one.downloads) for one in found))
    return table


def _megabytes(received: Received | None) -> str:
    return f"{received.rate / 1e6:.0f}" if received else ""


def aims(found: Mapping[str, Measured], cold: float) -> Table:
    """Return a table of each aim with its measured value, and whether it was met."""
    table = Table(box=None, pad_edge=False, header_style="dim", title="aims")
    for header in ("aim", "measured", ""):
        table.add_column(header)
    ours, nginx, peer = found["ours"], found["nginx"], found.get("olah")
    for kind in FILES:
        share, clients = min((ours.large[kind][n].rate / nginx.large[kind][n].rate, n) for n in CLIENTS)
        table.add_row(
            f"{kind} ≥ {MIN_OF_NGINX} of nginx", f"{share:.2f} ({clients} clients)", _met(share >= MIN_OF_NGINX)
        )
    ratio = min(ours.downloads) / min(nginx.downloads)
    table.add_row(f"hf download ≤ {MAX_DOWNLOAD} of nginx", f"{ratio:.2f}", _met(ratio <= MAX_DOWNLOAD))
    aim = f"read-through at 100 MiB/s ≤ {MAX_DOWNLOAD} of direct"
    table.add_row(aim, f"{cold:.2f}", _met(cold <= MAX_DOWNLOAD))
    for kind in SMALL if peer else ():
        rates = {n: (ours.small[kind][n].rate, peer.small[kind][n].rate) for n in CLIENTS}
        ratio, clients = min((mine / max(theirs, 0.1), n) for n, (mine, theirs) in rates.items())
        table.add_row(
            f"{kind} ≥ {MIN_OF_OLAH:.0f} of olah", f"{ratio:.1f} ({clients} clients)", _met(ratio >= MIN_OF_OLAH)
        )
    table.add_row("RSS ≤ 300 MB", f"{ours.most_rss / 1e6:.0f} MB", _met(ours.most_rss <= MAX_RSS))
    table.add_row("RSS after each kind of request, MB", " ".join(f"{one / 1e6:.0f}" for one in ours.rss), "")
    return table


def _met(yes: bool) -> str:
    return "met" if yes else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
