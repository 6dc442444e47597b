"""The registry over HTTP with 100,000 versions of 20,000 models, beside MLflow's: `python -m bench.api`.

Both get the same models, made by code and written into their databases, and the same clients, 16 at once, each of which
sends its next request when it has the answer to the last. Both serve with one process and ask for a key or a password;
MLflow has SQLite. Ratios are of medians: above 1, MLflow takes longer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from bench import registry_data
from bench.load import Timing, load
from bench.measuring import high_water
from bench.registry_data import ARCHITECTURES, LICENCES, TAGS, WORDS, Size
from tests.services import mlflow, postgresql
from tests.services.weighbridge import serving
from weighbridge.catalog import Catalog
from weighbridge.domain.clock import utc_now

CLIENTS = 16
MAX_P99_S = 0.05
MAX_RSS = 300 * 1000**2
MAX_START_S = 2.0
#: Requests before those that count.
_WARM_UP = 100
_PAGES = 10
#: Returns a request's path and query below a server's address, by chance.
Draw = Callable[[random.Random], str]
_MLFLOW = "/api/2.0/mlflow"


@dataclass(frozen=True)
class Registry:
    """A served registry, and how it is asked.

    Attributes:
        name: of the registry and its database.
        url: what all requests are below.
        headers: of every request.
        draws: by what is asked for, a request for it.
    """

    name: str
    url: str
    headers: Mapping[str, str]
    draws: Mapping[str, Draw]


@dataclass
class Measured:
    """What one registry took.

    Attributes:
        name: of the registry.
        timings: by what was asked for.
        start_s: from the command to the first answer, each time.
        rss: the most memory that the server and its children ever had, in bytes; 0 where it was not measured.
    """

    name: str
    timings: dict[str, Timing] = field(default_factory=dict)
    start_s: list[float] = field(default_factory=list)
    rss: int = 0


def main() -> int:
    """Fill the databases, ask the servers, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument("--models", type=int, default=Size.models)
    parser.add_argument("--versions", type=int, default=Size.versions, help="of each model")
    parser.add_argument("--requests", type=int, default=1600, help="of each kind")
    parser.add_argument("--rounds", type=int, default=5, help="starts of the server")
    parser.add_argument("--workers", type=int, default=1, help="processes of ours; MLflow's has one")
    parser.add_argument("--only", default="", help="names of servers, separated by commas: sqlite, postgresql, mlflow")
    parser.add_argument("--json", type=Path, help="file for the raw figures")
    options = parser.parse_args()
    size = Size(options.models, options.versions, min(Size.measured, options.models))
    wanted = set((options.only or "sqlite,postgresql,mlflow").split(","))
    console, found = Console(), list[Measured]()
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-api-") as name:
        for measured in _measure(Path(name), size, options, wanted, console):
            found.append(measured)
    title = (
        f"{size.models * size.versions:,} versions of {size.models:,} models, {CLIENTS} clients, {os.cpu_count()} cores"
    )
    console.print(figures(found, title), aims(found))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
    return 0


def _measure(
    folder: Path, size: Size, options: argparse.Namespace, wanted: set[str], console: Console
) -> Iterator[Measured]:
    home = folder / "home"
    home.mkdir()
    console.print("[dim]filling SQLite[/]")
    with Catalog.open(f"sqlite:///{home}/catalog.db", utc_now) as catalog:
        registry_data.fill(catalog, size)
        if "sqlite" in wanted:
            yield _of_ours("SQLite", home, {}, size, options, console)
        if "postgresql" in wanted:
            with postgresql.serving() as server, postgresql.empty_database(server.url) as url:
                console.print("[dim]filling PostgreSQL[/]")
                with Catalog.open(url, utc_now) as other:
                    registry_data.copy(catalog, other)
                yield _of_ours("PostgreSQL", home, {"WEIGHBRIDGE_CATALOG_URL": url}, size, options, console)
    if "mlflow" in wanted:
        yield _of_mlflow(folder / "mlflow", size, options, console)


def _of_ours(
    name: str, home: Path, environment: Mapping[str, str], size: Size, options: argparse.Namespace, console: Console
) -> Measured:
    measured = Measured(name)
    # Python keeps what it compiled, unless this variable of some containers forbids that.
    environment = {**environment, "PYTHONDONTWRITEBYTECODE": ""}
    for _ in range(options.rounds):
        began = time.perf_counter()
        with serving(home, environment, "--workers", str(options.workers)) as served:
            served.get("/openapi.json").raise_for_status()
            measured.start_s.append(time.perf_counter() - began)
    with serving(home, environment, "--workers", str(options.workers)) as served:
        headers = served.key("reader")
        with httpx.Client(base_url=served.url, headers=headers, trust_env=False) as client:
            registry = Registry(name, served.url, headers, _our_draws(client, size))
        _ask(registry, measured, options.requests, console)
        process = psutil.Process(served.process.pid)
        family = [process, *process.children(recursive=True)]
        measured.rss = sum(high_water(one.pid) for one in family if one.name() != "clamd")
    return measured


def _of_mlflow(folder: Path, size: Size, options: argparse.Namespace, console: Console) -> Measured:
    folder.mkdir()
    with mlflow.serving(folder):  # This makes its tables.
        console.print("[dim]filling MLflow's database[/]")
    registry_data.fill_mlflow(f"sqlite:///{folder}/mlflow.db", size)
    began, measured = time.perf_counter(), Measured("MLflow")
    with mlflow.serving(folder) as server:
        measured.start_s.append(time.perf_counter() - began)
        request = httpx.Request("GET", server.uri)
        next(httpx.BasicAuth(mlflow.USERNAME, mlflow.PASSWORD).auth_flow(request))
        headers = {"Authorization": request.headers["authorization"]}
        with httpx.Client(base_url=server.uri + _MLFLOW, headers=headers, trust_env=False, timeout=120) as client:
            registry = Registry(measured.name, server.uri + _MLFLOW, headers, _mlflow_draws(client, size))
        _ask(registry, measured, options.requests, console)
    return measured


def _ask(registry: Registry, measured: Measured, requests: int, console: Console) -> None:
    drawn = random.Random(3)
    for kind, draw in registry.draws.items():
        targets = [draw(drawn) for _ in range(requests + _WARM_UP)]
        load(registry.url, targets[:_WARM_UP], registry.headers, CLIENTS)
        timing = load(registry.url, targets[_WARM_UP:], registry.headers, CLIENTS)
        assert timing.statuses == (200,), (registry.name, kind, timing.statuses)
        measured.timings[kind] = timing
        console.print(f"[dim]{registry.name}, {kind}: {timing.rate:.0f} a second[/]")


def _our_draws(client: httpx.Client, size: Size) -> dict[str, Draw]:
    orders = [{"sort": sort, "order": order} for sort in ("name", "updated", "size") for order in ("asc", "desc")]
    pages = _walked(client, "/models", [{"limit": "50", **order} for order in orders], "cursor", "next")

    def filtered(drawn: random.Random) -> str:
        wanted = (
            {"architecture": drawn.choice(ARCHITECTURES), "license": drawn.choice(LICENCES)},
            {"tag": drawn.sample(TAGS, 2), "status": "PASSED"},
            {"max_params": drawn.choice((2, 8, 14)) * 10**9, "sort": "parameters", "order": "desc"},
        )
        return f"/models?{urlencode(drawn.choice(wanted), doseq=True)}"

    def leaderboard(drawn: random.Random) -> str:
        wanted = {"architecture": drawn.choice(ARCHITECTURES), "max_params": drawn.choice((8, 14, 80)) * 10**9}
        return f"/models/leaderboard?{urlencode(wanted)}"

    return {
        "list": lambda drawn: drawn.choice(pages),
        "filter": filtered,
        "search": lambda drawn: f"/models?search={_word(drawn, size)}",
        "get": lambda drawn: f"/models/{size.of(1 + drawn.randrange(size.models))}",
        "versions": lambda drawn: f"/models/{size.of(1 + drawn.randrange(size.models))}/versions",
        "one version": lambda drawn: f"/models/{size.of(1 + drawn.randrange(size.models))}/versions/1.0.0",
        "leaderboard": leaderboard,
    }


def _mlflow_draws(client: httpx.Client, size: Size) -> dict[str, Draw]:
    orders = ("name ASC", "name DESC", "last_updated_timestamp ASC", "last_updated_timestamp DESC")
    first = [{"max_results": "50", "order_by": order} for order in orders]
    pages = _walked(client, "/registered-models/search", first, "page_token", "next_page_token")

    def search(text: str) -> str:
        return f"/registered-models/search?{urlencode({'max_results': 50, 'filter': text})}"

    def versions(drawn: random.Random) -> str:
        name = size.of_mlflow(1 + drawn.randrange(size.models))
        return f"/model-versions/search?{urlencode({'max_results': 50, 'filter': f'''name='{name}' '''.strip()})}"

    def filtered(drawn: random.Random) -> str:
        wanted = {"architecture": drawn.choice(ARCHITECTURES), "licence": drawn.choice(LICENCES)}
        return search(" AND ".join(f"tags.`{name}` = '{value}'" for name, value in wanted.items()))

    return {
        "list": lambda drawn: drawn.choice(pages),
        "filter": filtered,
        "search": lambda drawn: search(f"name ILIKE '%{_word(drawn, size)}%'"),
        "get": lambda drawn: f"/registered-models/get?name={size.of_mlflow(1 + drawn.randrange(size.models))}",
        "versions": versions,
        "one version": lambda drawn: (
            f"/model-versions/get?name={size.of_mlflow(1 + drawn.randrange(size.models))}&version=1"
        ),
    }


def _word(drawn: random.Random, size: Size) -> str:
    """Return what somebody searches for: a part of many names, of one, or of none."""
    return drawn.choice((drawn.choice(WORDS), f"model-{drawn.randrange(size.models)}", f"nothing-{drawn.random()}"))


def _walked(client: httpx.Client, path: str, first: Sequence[Mapping[str, str]], name: str, field: str) -> list[str]:
    """Return the first pages of each list, by following its cursors."""
    pages = []
    for query in first:
        cursor = ""
        for _ in range(_PAGES):
            target = f"{path}?{urlencode({**query, name: cursor} if cursor else query)}"
            pages.append(target)
            cursor = client.get(target.removeprefix("/")).raise_for_status().json().get(field)
            if not cursor:
                break
    return pages


def figures(found: Sequence[Measured], title: str) -> Table:
    """Return a table of the times of each kind of request, with MLflow's as a ratio."""
    table = Table(title=f"{title}; milliseconds", box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for one in found:
        for header in ("p50", "p99", "a second"):
            table.add_column(f"{one.name} {header}", justify="right")
    by_name = {one.name: one for one in found}
    table.add_column("MLflow / SQLite", justify="right")
    for kind in found[0].timings:
        cells = [cell for one in found for cell in _cells(one.timings.get(kind))]
        table.add_row(kind, *cells, _ratio(by_name, kind))
    return table


def _cells(timing: Timing | None) -> tuple[str, str, str]:
    if timing is None:
        return "", "", ""
    return f"{timing.quantile(0.5) * 1000:.1f}", f"{timing.quantile(0.99) * 1000:.1f}", f"{timing.rate:.0f}"


def _ratio(by_name: Mapping[str, Measured], kind: str) -> str:
    pair = [by_name[name].timings.get(kind) for name in ("SQLite", "MLflow") if name in by_name]
    if len(pair) < 2 or pair[0] is None or pair[1] is None:
        return ""
    return f"{pair[1].quantile(0.5) / pair[0].quantile(0.5):.1f}"


def aims(found: Sequence[Measured]) -> Table:
    """Return a table of each aim with its measured value, and whether it was met."""
    table = Table(box=None, pad_edge=False, header_style="dim", title="aims")
    for header in ("aim", "measured", ""):
        table.add_column(header)
    for one in found:
        start_s = statistics.median(one.start_s)
        if one.name == "MLflow":
            table.add_row("MLflow: start", f"{start_s:.1f} s", "")
            continue
        kind, worst = max(one.timings.items(), key=lambda item: item[1].quantile(0.99))
        p99 = worst.quantile(0.99)
        table.add_row(f"{one.name}: p99 ≤ 50 ms", f"{p99 * 1000:.0f} ms ({kind})", _met(p99 <= MAX_P99_S))
        table.add_row(f"{one.name}: RSS ≤ 300 MB", f"{one.rss / 1e6:.0f} MB", _met(one.rss <= MAX_RSS))
        table.add_row(f"{one.name}: start ≤ 2 s", f"{start_s:.1f} s", _met(start_s <= MAX_START_S))
    return table


def _met(yes: bool) -> str:
    return "met" if yes else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
