"""Measures the catalogue of the Hub: import, room on disk, searches, exports; beside pandas over a file of Parquet.

`python -m bench.hub_search --rows 2500000 [--postgresql [URL]] [--keep FOLDER]`: models are generated, imported as a
full refresh would (pages of 1,000), and some pages again as a night later; then they are searched. With `--keep` the
database stays, and another run with the same folder only searches. Times are wall times; beside them is the time of the
processor, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import itertools
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.hub_models import later, models
from tests.services.postgresql import serving
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.domain.hub_models import HUB_ORDERS, Gated, HubQuery, PassKind

_PAGE = 1000
_AT = datetime(2026, 11, 28, tzinfo=UTC)
_COMMON = ("instruct", "gguf", "a", "llama", "7b", "lora", "base_model:finetune", "text-generation")
_RARE = ("imatrix exl2", "opus-mt 405b", "llama-3.1-70b-instruct", "arxiv:2301.00017", "jax onnx mteb", "zq7")
_MISSING = ("no-such-model-anywhere", "qqqqzz", "%", '"', "_%_", "🙂", "日本語", "x" * 10_000, "' OR 1=1 --")
_FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "tag": {"filters": ("text-generation",)},
    "two tags": {"filters": ("diffusers", "license:mit")},
    "rare tag": {"filters": ("arxiv:2301.00017",)},
    "library": {"library": "peft"},
    "licence": {"licence": "llama3.1"},
    "gated": {"gated": (Gated.MANUAL,)},
    "public": {"gated": (Gated.NO,)},
    "size": {"min_parameters": 6 * 10**9, "max_parameters": 9 * 10**9},
    "memory": {"max_memory_size": 16 * 10**9},
}


def main() -> int:
    """Fill a catalogue and print what it cost, and what searches cost."""
    parser = argparse.ArgumentParser(prog="python -m bench.hub_search", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--postgresql", nargs="?", const="serve", help="a URL; without one, a server is started")
    parser.add_argument("--night", type=int, default=50, help="pages that are imported again, a night later")
    parser.add_argument("--keep", type=Path, help="folder that stays, for another run")
    parser.add_argument("--no-pandas", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.keep or Path(tempfile.mkdtemp(prefix="hub-search-"))
        if not options.keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url = f"sqlite:///{folder}/catalog.db"
        if options.postgresql == "serve":
            url = stack.enter_context(serving()).url
        elif options.postgresql:
            url = options.postgresql
        hub = stack.enter_context(HubCatalog.open(url))
        if hub.state().models == 0:
            _import(hub, options.rows)
            _night(hub, options.rows, options.night)
        _say(f"{hub.state().models:,} models, {(hub.state().size or 0) / max(1, hub.state().models):.0f} bytes each")
        _measure("searches", _all(), lambda query: hub.search(query))
        _measure("counts up to 10,000", _by_words("downloads"), lambda query: hub.count(query, 10_000))
        _batches(hub)
        if not options.no_pandas:
            _beside(hub, folder)
    return 0


def _import(hub: HubCatalog, rows: int) -> None:
    begun = hub.begin(PassKind.FULL, "", "bench", _AT)
    cpu = wall = 0.0
    for page in _pages(models(rows)):
        started, used = time.perf_counter(), time.process_time()
        hub.add_page(begun.number, "bench", page, "next", _AT)
        wall, cpu = wall + time.perf_counter() - started, cpu + time.process_time() - used
    started = time.perf_counter()
    hub.finish(begun.number, "bench", _AT)
    pages = max(1, rows // _PAGE)
    _say(
        f"import: {rows / wall:,.0f} models/s, {1000 * wall / pages:.0f} ms a page ({1000 * cpu / pages:.0f} ms of "
        f"this process), end {time.perf_counter() - started:.1f} s, peak {_memory()} MB"
    )


def _night(hub: HubCatalog, rows: int, most: int) -> None:
    """Import pages again, with what a night changes."""
    at = _AT + timedelta(days=1)
    begun = hub.begin(PassKind.PARTIAL, "bench", "bench", at)
    chance = random.Random(1)
    wall = cpu = 0.0
    changes = 0
    pages = min(most, rows // _PAGE)
    for page in itertools.islice(_pages(models(rows)), pages):
        listed = [later(model, chance) for model in page]
        started, used = time.perf_counter(), time.process_time()
        changes += len(hub.add_page(begun.number, "bench", listed, "next", at)[1])
        wall, cpu = wall + time.perf_counter() - started, cpu + time.process_time() - used
    hub.finish(begun.number, "bench", at)
    if pages:
        _say(f"a night later: {1000 * wall / pages:.0f} ms a page ({1000 * cpu / pages:.0f} ms), {changes} changes")


def _pages(listed: Iterator[Any]) -> Iterator[list[Any]]:
    while page := list(itertools.islice(listed, _PAGE)):
        yield page


def _all() -> Iterator[tuple[str, HubQuery]]:
    for sort in HUB_ORDERS:
        yield from _by_words(sort)
        for (name, values), descending in itertools.product(_FILTERS.items(), (True, False)):
            for search in ("", "instruct", "imatrix"):
                query = HubQuery(search=search, sort=sort, descending=descending, **values)
                yield f"{search or 'all'}, filter {name}, {sort} {'down' if descending else 'up'}", query


def _by_words(sort: str) -> Iterator[tuple[str, HubQuery]]:
    for kind, words in (("common", _COMMON), ("rare", _RARE), ("missing", _MISSING)):
        for word in words:
            yield f"{kind} {word[:24]!r}, {sort}", HubQuery(search=word, sort=sort)


def _measure(title: str, queries: Iterator[tuple[str, HubQuery]], ask: Callable[[HubQuery], object]) -> None:
    found = []
    for name, query in queries:
        ask(query)  # What is measured is a server that has been asked before.
        started, used = time.perf_counter(), time.process_time()
        ask(query)
        found.append((time.perf_counter() - started, time.process_time() - used, name))
    for label, place in (("wall", 0), ("processor", 1)):
        times = sorted(one[place] * 1000 for one in found)
        shown = ", ".join(
            f"p{share} {times[min(len(times) - 1, len(times) * share // 100)]:.1f}" for share in (50, 95, 99)
        )
        _say(f"{title}, {label}: {shown}, most {times[-1]:.1f} ms of {len(times)}")
    for wall, cpu, name in sorted(found, reverse=True)[:12]:
        _say(f"    {wall * 1000:8.1f} ms ({cpu * 1000:.1f}) {name}")


def _batches(hub: HubCatalog) -> None:
    started = time.perf_counter()
    count = sum(len(batch) for batch in hub.batches(HubQuery(include_vanished=True)))
    _say(f"all in batches: {count / (time.perf_counter() - started):,.0f} models/s, peak {_memory()} MB")


def _beside(hub: HubCatalog, folder: Path) -> None:
    """Search as a person would with hub-stats' file: names, tags and figures in pandas."""
    import pandas as pd

    path = folder / "models.parquet"
    rows = (
        {
            "id": entry.model.id,
            "tags": " ".join(entry.model.tags),
            "downloads": entry.model.downloads,
            "parameters": entry.model.parameters,
        }
        for batch in hub.batches(replace(HubQuery(), include_vanished=True))
        for entry in batch
    )
    pd.DataFrame(rows).to_parquet(path)
    started = time.perf_counter()
    frame = pd.read_parquet(path)
    _say(f"pandas: {path.stat().st_size / len(frame):.0f} bytes a model, read in {time.perf_counter() - started:.1f} s")

    def ask(query: HubQuery) -> object:
        text = query.search.lower()
        matches = frame[
            frame["id"].str.lower().str.contains(text, regex=False) | frame["tags"].str.contains(text, regex=False)
        ]
        return matches.sort_values("downloads", ascending=False).head(20)

    _measure("pandas", itertools.islice(_by_words("downloads"), 12), ask)
    _say(f"pandas: peak {_memory()} MB")


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
