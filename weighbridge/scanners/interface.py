"""The interface of a scanner, which reads one blob and reports on it. The adapters are beside this file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from weighbridge.domain.digest import Digest
from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.report import Finding, Level, ScanReport, Status


@dataclass(frozen=True)
class Subject:
    """A blob to scan.

    Attributes:
        digest: its sha256.
        path: its file on this machine, read-only.
        size: bytes.
        name: its path in the model, a hint at its intended format.
        format: its format, by content first and name second (`weighbridge.content.detection.detect`).
        heard: called with the bytes that the slowest scanner has read, during its scan.
    """

    digest: Digest
    path: Path
    size: int
    name: str
    format: str
    heard: Heard = field(default=unheard, compare=False, repr=False)


@dataclass(frozen=True)
class Engine:
    """The engine of a scanner.

    Attributes:
        version: the engine's version.
        rules: a digest or version of its rules or signatures; with another value blobs are scanned again.
        facts: facts for a policy, such as `("database", "test-only")`; sorted pairs.
    """

    version: str
    rules: str
    facts: tuple[tuple[str, str], ...] = ()


class Scanner(Protocol):
    """One engine, or several of one kind whose disagreement is reported.

    Content that is harmful, broken or too large is a finding or a `partial`, `skipped` or `failed` report: `scan` does
    not raise because of what it reads.
    """

    name: ClassVar[str]

    def engine(self) -> Engine:
        """Return the engine of the next scan.

        Raises:
            ScannerUnavailable: the engine cannot be reached or started.
        """
        ...

    def accepts(self, subject: Subject) -> bool:
        """Return whether this scanner applies to the blob."""
        ...

    def scan(self, subject: Subject) -> ScanReport:
        """Read the blob and return the report."""
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
    """Return a scanner's report; `covered` defaults to the whole blob when completed, else to nothing."""
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


class Worst:
    """A collector of findings: keeps the worst `limit` of them, and one more of `rule` that counts the others."""

    def __init__(self, limit: int, rule: str) -> None:
        self._limit, self._rule = limit, rule
        self._kept: list[Finding] = []
        self._dropped: list[Level] = []

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings; beyond the limit the least severe are dropped."""
        self._kept += findings
        if len(self._kept) > 4 * self._limit:
            self._trim()

    @property
    def all(self) -> list[Finding]:
        """Return the kept findings, errors first; the one that counts the others has the level of the worst of them."""
        self._trim()
        if not self._dropped:
            return self._kept
        text = f"{len(self._dropped)} more findings are not listed."
        return [*self._kept, Finding(self._rule, min(self._dropped, key=_LEVELS.index), text)]

    def _trim(self) -> None:
        self._kept.sort(key=lambda finding: (_LEVELS.index(finding.level), finding))
        self._dropped += [finding.level for finding in self._kept[self._limit :]]
        del self._kept[self._limit :]


def worst(findings: list[Finding], limit: int, rule: str) -> list[Finding]:
    """Return at most `limit` findings, errors first, and one more of `rule` that counts the others.

    That one has the level of the worst that it counts, so that a flood of findings hides none.
    """
    collected = Worst(limit, rule)
    collected.add(findings)
    return collected.all
