"""What a scanner is: it reads one blob and reports what it saw of it. Adapters lie beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from weighbridge.domain.digest import Digest
from weighbridge.domain.report import Finding, Level, ScanReport, Status


@dataclass(frozen=True)
class Subject:
    """A blob to scan.

    Attributes:
        digest: its sha256.
        path: where it lies on this machine, read-only.
        size: bytes.
        name: its path in the model, the longest-lived hint at what it should be.
        format: what it is, by content first and name second (`weighbridge.content.detection.detect`).
    """

    digest: Digest
    path: Path
    size: int
    name: str
    format: str


@dataclass(frozen=True)
class Engine:
    """What a scanner scans with.

    Attributes:
        version: the engine's version.
        rules: a digest or version of its rules or signatures; another value means: scan again.
        facts: what a policy may judge, such as `("database", "test-only")`; sorted pairs.
    """

    version: str
    rules: str
    facts: tuple[tuple[str, str], ...] = ()


class Scanner(Protocol):
    """One engine, or several of one kind whose disagreement is worth showing.

    Content that is harmful, broken or too large is a finding or a `partial`, `skipped` or `failed` report: `scan` does
    not raise because of what it reads.
    """

    name: ClassVar[str]

    def engine(self) -> Engine:
        """Say what the next scan would be done with.

        Raises:
            ScannerUnavailable: the engine cannot be reached or started.
        """
        ...

    def accepts(self, subject: Subject) -> bool:
        """Whether this scanner has anything to say about the blob."""
        ...

    def scan(self, subject: Subject) -> ScanReport:
        """Read the blob and report."""
        ...


def report(
    scanner: str,
    engine: Engine,
    subject: Subject,
    *,
    status: Status = "completed",
    reason: str = "",
    covered: int | None = None,
    findings: tuple[Finding, ...] | list[Finding] = (),
) -> ScanReport:
    """Build a scanner's report; `covered` defaults to the whole blob when completed, to nothing otherwise."""
    if covered is None:
        covered = subject.size if status == "completed" else 0
    return ScanReport(
        digest=subject.digest,
        scanner=scanner,
        version=engine.version,
        rules=engine.rules,
        subject=subject.format,
        status=status,
        reason=reason,
        bytes_covered=min(covered, subject.size),
        bytes_total=subject.size,
        findings=tuple(sorted(findings)),
        engine=engine.facts,
    )


_LEVELS: tuple[Level, ...] = ("error", "warning", "note")


def worst(findings: list[Finding], limit: int, rule: str) -> list[Finding]:
    """Return at most `limit` findings, errors first, and one more of `rule` that counts the others.

    That one has the level of the worst it stands for, so that a flood of findings hides none.
    """
    ranked = sorted(findings, key=lambda finding: (_LEVELS.index(finding.level), finding))
    if len(ranked) <= limit:
        return ranked
    text = f"{len(ranked) - limit} more findings are not listed."
    return [*ranked[:limit], Finding(rule, ranked[limit].level, text)]
