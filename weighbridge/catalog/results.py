"""Benchmark results in the catalog: every one is kept; of one manifest, benchmark and comparable key the newest counts.

A failure stays beside what was measured before it, until something newer of its benchmark and machine is there that
was measured with the same settings: what does not fit at one length or batch may fit at another. Raw samples are in a
column of their own, which is read only for callers that ask for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from weighbridge.catalog import schema
from weighbridge.catalog.manifests import batches
from weighbridge.domain.result import BenchmarkResult

#: Settings that change no number, and those that a failure keeps as they were asked for and a result as they were used.
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
        key: the comparable key; None for all. With one, failures are left out: they have nothing to be compared.
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
    """Yield results, the newest first, without the failures that something newer has outdone."""
    seen: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        newer = seen.setdefault((result.manifest_digest, result.benchmark, result.machine), [])
        if not result.failure or not any(_same(result.settings, settings) for settings in newer):
            yield result
        newer.append(result.settings)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs chose the same, as far as both say; a failure keeps more settings than a benchmark uses."""
    return all(one[name] == other[name] for name in (one.keys() & other.keys()) - _NOT_COMPARED)
