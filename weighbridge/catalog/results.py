"""Benchmark results in the catalog: all are stored; the newest of a manifest, benchmark and comparable key counts.

A failure is listed beside earlier numbers until a newer result of the same benchmark, machine and settings exists: a
model that does not fit at one length or batch may fit at another. Raw samples have a column of their own, which is read
only on request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from weighbridge.catalog import schema
from weighbridge.catalog.manifests import batches
from weighbridge.domain.result import BenchmarkResult

#: Settings that change no number, and those that a failure stores as requested and a result as used.
_NOT_COMPARED = {"n", "device", "tasks", "shots"}


def add(connection: Connection, result: BenchmarkResult, now: datetime) -> None:
    """Append a result."""
    content = result.to_json()
    samples = content.pop("samples")
    connection.execute(
        schema.results.insert().values(
            manifest_digest=result.manifest_digest,
            benchmark=result.benchmark,
            comparable_key=result.comparable_key,
            failed=bool(result.failure),
            content=content,
            samples=samples,
            recorded_at=now,
        )
    )


def newest(
    connection: Connection,
    manifests: Iterable[str] | None,
    benchmark: str | None,
    *,
    key: str | None = None,
    samples: bool = False,
) -> list[BenchmarkResult]:
    """Return, of each manifest, benchmark and comparable key, the newest result, the newest first.

    Args:
        connection: to the catalog.
        manifests: digests, however many; None for all.
        benchmark: its name; None for all.
        key: the comparable key; None for all. With a key, failures are left out: they have no numbers to compare.
        samples: whether raw samples are read too.
    """
    table = schema.results
    wanted = [table.c.benchmark == benchmark] if benchmark is not None else []
    if key is not None:
        wanted += [table.c.comparable_key == key, table.c.failed.is_(False)]
    parts: Iterable[Sequence[str] | None] = [None] if manifests is None else batches(sorted(set(manifests)))
    found: list[Any] = []
    for part in parts:
        within = wanted if part is None else [*wanted, table.c.manifest_digest.in_(part)]
        last = (
            select(func.max(table.c.id))
            .where(*within)
            .group_by(table.c.manifest_digest, table.c.benchmark, table.c.comparable_key)
        )
        columns = [table.c.id, table.c.content, *([table.c.samples] if samples else [])]
        found += connection.execute(select(*columns).where(table.c.id.in_(last)))
    results = [
        BenchmarkResult.from_json({**row.content, "samples": row.samples if samples else {}})
        for row in sorted(found, key=lambda row: -row.id)
    ]
    return list(_standing(results))


def _standing(results: Iterable[BenchmarkResult]) -> Iterator[BenchmarkResult]:
    """Yield results, the newest first, without failures that a newer result replaces."""
    seen: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        newer = seen.setdefault((result.manifest_digest, result.benchmark, result.machine), [])
        if not result.failure or not any(_same(result.settings, settings) for settings in newer):
            yield result
        newer.append(result.settings)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs have equal settings where both have them; a failure stores more than a benchmark uses."""
    return all(one[name] == other[name] for name in (one.keys() & other.keys()) - _NOT_COMPARED)
