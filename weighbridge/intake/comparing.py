"""Comparing two versions, of one model or of two: files, sizes, card, findings, verdicts and results of benchmarks.

Not here: which numbers are worse beyond their intervals (catalog.regressions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.catalog import Catalog
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.version import ModelVersion


@dataclass(frozen=True, order=True)
class Change:
    """One difference of two versions.

    Attributes:
        area: `version`, `file`, `card`, `finding` or `result`.
        what: which one: a path, a field, a rule with its path, a benchmark's metric.
        before: the value in the first version; None where it is missing.
        after: the value in the second version; None where it is missing.
    """

    area: str
    what: str
    before: Any = None
    after: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return dict(vars(self))


@dataclass(frozen=True)
class Difference:
    """All differences of two versions.

    Attributes:
        before: the first version.
        after: the second version.
        changes: sorted by area; empty where the versions are equal.
    """

    before: ModelVersion
    after: ModelVersion
    changes: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "before": self.before.summary.to_json(),
            "after": self.after.summary.to_json(),
            "same_files": self.before.manifest.digest == self.after.manifest.digest,
            "changes": [change.to_json() for change in self.changes],
        }


def compare(one: ModelVersion, two: ModelVersion, catalog: Catalog) -> Difference:
    """Compare two versions."""
    results = [catalog.results([version.manifest.digest]) for version in (one, two)]
    changes = [
        *_changed("version", _facts(one), _facts(two)),
        *_changed("file", _files(one), _files(two)),
        *_changed("card", _card(one), _card(two)),
        *_changed("finding", _findings(one), _findings(two)),
        *_changed("result", _numbers(results[0]), _numbers(results[1])),
    ]
    return Difference(one, two, tuple(changes))


def _changed(area: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Change]:
    for what in sorted(before.keys() | after.keys()):
        if before.get(what) != after.get(what):
            yield Change(area, what, before.get(what), after.get(what))


def _facts(version: ModelVersion) -> dict[str, Any]:
    size = version.manifest.size
    return {"status": version.status, "policy": version.decision.policy, "source": version.source, "size": size}


def _files(version: ModelVersion) -> dict[str, Any]:
    return {
        entry.path: {"size": entry.size, "sha256": entry.digest.hex if entry.digest else None}
        for entry in version.manifest.files
    }


def _card(version: ModelVersion) -> dict[str, Any]:
    return {name: field["value"] for name, field in version.card.to_json().items()}


def _findings(version: ModelVersion) -> dict[str, Any]:
    """Return the level of every finding, by its rule, the file's path and the place in it."""
    by_digest: dict[str, list[str]] = {}
    for entry in version.manifest.files:
        by_digest.setdefault(str(entry.digest), []).append(entry.path)
    return {
        " ".join(filter(None, (finding.rule, path, finding.location))): finding.level
        for report in version.reports
        for finding in report.findings
        for path in by_digest.get(str(report.digest), [])
    }


def _numbers(results: Iterable[BenchmarkResult]) -> dict[str, Any]:
    """Return every measured value by definition, metric and machine, within which values are comparable."""
    return {
        f"{result.definition} {metric.name} ({metric.unit}) on {result.machine or 'an unknown machine'}": metric.value
        for result in reversed(list(results))
        for metric in result.metrics
        if metric.value is not None
    }
