"""Regressions: a version that does worse than the one before it, beyond what chance explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select

from weighbridge.benchmarks.interface import BenchmarkResult
from weighbridge.benchmarks.statistics import is_better
from weighbridge.catalog import results, schema


@dataclass(frozen=True)
class Regression:
    """One metric of one version that is worse than before.

    Attributes:
        subject: `name@version`.
        before: the version it is held against.
        benchmark, metric, unit: what was measured.
        was, now: the two values; their intervals do not touch.
    """

    subject: str
    before: str
    benchmark: str
    metric: str
    unit: str
    was: float
    now: float

    def to_json(self) -> dict[str, Any]:
        """Return the event's detail."""
        return asdict(self)


def regressions(connection: Connection, result: BenchmarkResult) -> Iterator[Regression]:
    """Yield what got worse, for each model that has the result's manifest as a version with another before it."""
    versions, models = schema.versions, schema.models
    here = select(versions.c.id, versions.c.model_id, versions.c.version, models.c.name).join(
        models, models.c.id == versions.c.model_id
    )
    for row in connection.execute(here.where(versions.c.manifest_digest == result.manifest_digest)):
        earlier = (
            select(versions.c.version, versions.c.manifest_digest)
            .where(versions.c.model_id == row.model_id, versions.c.id < row.id, versions.c.status == "PASSED")
            .order_by(versions.c.id.desc())
            .limit(1)
        )
        for before in connection.execute(earlier):
            for known in results.newest(connection, [before.manifest_digest], result.benchmark):
                if known.comparable_key == result.comparable_key:
                    yield from _worse(f"{row.name}@{row.version}", before.version, known, result)


def _worse(subject: str, before: str, known: BenchmarkResult, result: BenchmarkResult) -> Iterator[Regression]:
    for metric in result.metrics:
        was = known.metric(metric.name)
        if was and was.value is not None and metric.value is not None and is_better(was, metric):
            yield Regression(subject, before, result.benchmark, metric.name, metric.unit, was.value, metric.value)
