"""The documents about scans: engines, reports and findings of a version."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from pydantic import BaseModel, Field

from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.report import NOT_APPLICABLE, Level, ScanReport, Status
from weighbridge.domain.version import ModelVersion
from weighbridge.web.api.documents import Page

_LEVELS: tuple[Level, ...] = ("error", "warning", "note")


class EngineDocument(BaseModel):
    """What one engine read of a version, and how much it found."""

    scanner: str = Field(examples=["clamav"])
    version: str = Field(description="Of the engine.", examples=["1.4.6"])
    rules: str = Field(description="The signatures or rules that it scanned with.")
    facts: dict[str, str] = Field(description="About the engine.", examples=[{"database": "official"}])
    files: int = Field(description="Blobs that it scanned.")
    bytes_covered: int = Field(description="Bytes that it read.")
    bytes_total: int = Field(description="Bytes of those blobs.")
    states: dict[Status, int] = Field(description="How many reports are of each status.")
    findings: dict[Level, int] = Field(description="How many findings are of each level.")


class Scan(BaseModel):
    """What is known of a version's safety."""

    name: str
    version: str
    status: VersionStatus
    engines: list[EngineDocument] = Field(description="Side by side, sorted by name.")


class ReportedFinding(BaseModel):
    """One observation about a blob."""

    rule: str = Field(examples=["clamav.signature"])
    level: Level
    message: str
    location: str = Field(description="The place inside the file: a member, an offset, a key; or empty.")


class Report(BaseModel):
    """What one scanner says of one blob."""

    id: str
    digest: str
    paths: list[str] = Field(description="The files of the version that are this blob.")
    scanner: str
    version: str
    rules: str
    facts: dict[str, str]
    subject: str = Field(description="The format that it was scanned as.")
    status: Status
    reason: str = Field(description="Why it is not completed; or empty.")
    bytes_covered: int
    bytes_total: int
    findings: list[ReportedFinding]


class Reports(Page):
    """Reports of a version."""

    items: list[Report]


class LocatedFinding(ReportedFinding):
    """A finding with its file."""

    path: str
    scanner: str
    report: str = Field(description="The id of its report.")


class LocatedFindings(Page):
    """Findings of a version, the worst first."""

    items: list[LocatedFinding]


def scan(version: ModelVersion) -> dict[str, Any]:
    """Return a `Scan` document."""
    engines: dict[tuple[str, str, str], list[ScanReport]] = defaultdict(list)
    for report in version.reports:
        if report.reason != NOT_APPLICABLE:
            engines[report.scanner, report.version, report.rules].append(report)
    return {
        "name": version.name,
        "version": version.version,
        "status": version.status,
        "engines": [_engine(reports) for _, reports in sorted(engines.items())],
    }


def _engine(reports: list[ScanReport]) -> dict[str, Any]:
    first = reports[0]
    return {
        "scanner": first.scanner,
        "version": first.version,
        "rules": first.rules,
        "facts": dict(first.engine),
        "files": len(reports),
        "bytes_covered": sum(report.bytes_covered for report in reports),
        "bytes_total": sum(report.bytes_total for report in reports),
        "states": dict(sorted(Counter(report.status for report in reports).items())),
        "findings": dict(sorted(Counter(one.level for report in reports for one in report.findings).items())),
    }


def reports(version: ModelVersion) -> list[dict[str, Any]]:
    """Return the `Report` documents of a version."""
    paths = _paths(version)
    return [
        {
            "id": report.id,
            "digest": str(report.digest),
            "paths": paths[str(report.digest)],
            "scanner": report.scanner,
            "version": report.version,
            "rules": report.rules,
            "facts": dict(report.engine),
            "subject": report.subject,
            "status": report.status,
            "reason": report.reason,
            "bytes_covered": report.bytes_covered,
            "bytes_total": report.bytes_total,
            "findings": [
                {"rule": one.rule, "level": one.level, "message": one.message, "location": one.location}
                for one in report.findings
            ],
        }
        for report in version.reports
    ]


def findings(version: ModelVersion) -> list[dict[str, Any]]:
    """Return the `LocatedFinding` documents of a version, the worst first, then by path and place."""
    found = [
        {**finding, "path": path, "scanner": report["scanner"], "report": report["id"]}
        for report in reports(version)
        for finding in report["findings"]
        for path in report["paths"]
    ]
    return sorted(found, key=lambda one: (_LEVELS.index(one["level"]), one["path"], one["location"], one["rule"]))


def _paths(version: ModelVersion) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = defaultdict(list)
    for entry in version.manifest.files:
        paths[str(entry.digest)].append(entry.path)
    return paths
