"""Benchmark results in the catalog: every one is kept; the newest of each kind counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from weighbridge.benchmarks.interface import BenchmarkResult
from weighbridge.catalog import schema

#: Values in one query: PostgreSQL and SQLite take more, but not without end.
_AT_ONCE = 500


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
    connection: Connection, manifests: Iterable[str] | None, benchmark: str | None, *, samples: bool = False
) -> list[BenchmarkResult]:
    """Return, of each manifest, benchmark and comparable key, the newest result, the newest first.

    Args:
        connection: to the catalog.
        manifests: digests, however many; None for all.
        benchmark: its name; None for all.
        samples: whether raw samples are read too.
    """
    table = schema.results
    columns = [table.c.id, table.c.content, *([table.c.samples] if samples else [])]
    query = select(*columns).order_by(table.c.id.desc())
    if benchmark is not None:
        query = query.where(table.c.benchmark == benchmark)
    wanted = None if manifests is None else sorted(set(manifests))
    parts = [None] if wanted is None else [wanted[at : at + _AT_ONCE] for at in range(0, len(wanted), _AT_ONCE)]
    rows = [
        row
        for part in parts
        for row in connection.execute(query if part is None else query.where(table.c.manifest_digest.in_(part)))
    ]
    found: dict[tuple[str, str, str], BenchmarkResult] = {}
    for row in sorted(rows, key=lambda row: -row.id):
        result = BenchmarkResult.from_json({**row.content, "samples": row.samples if samples else {}})
        found.setdefault((result.manifest_digest, result.benchmark, result.comparable_key), result)
    return list(found.values())
