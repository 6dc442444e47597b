"""Regressions: metrics of a version that are worse than those of the version before, beyond chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from weighbridge.catalog import results, schema
from weighbridge.domain.result import BenchmarkResult, is_better


@dataclass(frozen=True)
class Regression:
    """One metric of one version that is worse than before.

    Attributes:
        subject: `name@version`.
        before: the version that it is compared with.
        benchmark, definition, metric, unit: what was measured.
        was, now: the two values.
        was_interval, now_interval: of the values, low and high; they do not touch.
        machine: on which it was measured.
        comparable_key: of both results.
        noisy: what may have disturbed either of them, or empty.
    """

    subject: str
    before: str
    benchmark: str
    definition: str
    metric: str
    unit: str
    was: float
    now: float
    was_interval: tuple[float, float]
    now_interval: tuple[float, float]
    machine: str
    comparable_key: str
    noisy: str

    def to_json(self) -> dict[str, Any]:
        """Return the event's detail."""
        return asdict(self)


def regressions(connection: Connection, result: BenchmarkResult) -> Iterator[Regression]:
    """Yield what got worse, for each model that has the result's manifest as a version.

    A version is compared with the nearest earlier one that passed and has comparable numbers, so that a version in
    between without numbers hides no regression. The result's version is compared with that one, and the nearest later
    one with it: the order in which two versions are measured makes no difference.
    """
    versions, models = schema.versions, schema.models
    result = replace(result, metrics=tuple(metric.finite() for metric in result.metrics))
    here = select(versions.c.id, versions.c.model_id, versions.c.version, models.c.name).join(
        models, models.c.id == versions.c.model_id
    )
    of_result = (versions.c.manifest_digest == result.manifest_digest, versions.c.status == "PASSED")
    for row in connection.execute(here.where(*of_result)).all():
        others = connection.execute(
            select(versions.c.id, versions.c.version, versions.c.manifest_digest)
            .where(versions.c.model_id == row.model_id, versions.c.id != row.id, versions.c.status == "PASSED")
            .order_by(versions.c.id)
        ).all()
        digests = [other.manifest_digest for other in others]
        found = results.newest(connection, digests, result.benchmark, key=result.comparable_key)
        known = {one.manifest_digest: one for one in found}
        measured = [other for other in others if other.manifest_digest in known]
        before = next((other for other in reversed(measured) if other.id < row.id), None)
        after = next((other for other in measured if other.id > row.id), None)
        if before is not None:
            yield from _worse(f"{row.name}@{row.version}", before.version, known[before.manifest_digest], result)
        if after is not None:
            yield from _worse(f"{row.name}@{after.version}", row.version, result, known[after.manifest_digest])


def _worse(subject: str, before: str, known: BenchmarkResult, result: BenchmarkResult) -> Iterator[Regression]:
    for metric in result.metrics:
        was = known.metric(metric.name)
        if was is None or was.value is None or metric.value is None or not (was.interval and metric.interval):
            continue
        if not is_better(was, metric):
            continue
        yield Regression(
            subject=subject,
            before=before,
            benchmark=result.benchmark,
            definition=result.definition,
            metric=metric.name,
            unit=metric.unit,
            was=was.value,
            now=metric.value,
            was_interval=(was.interval.low, was.interval.high),
            now_interval=(metric.interval.low, metric.interval.high),
            machine=result.machine,
            comparable_key=result.comparable_key,
            noisy="; ".join(dict.fromkeys(filter(None, (known.noisy, result.noisy)))),
        )
