"""Archives: every member walked and measured; what is wrong with an archive, and what of it stayed unread."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import ClassVar

from weighbridge.config.settings import Settings
from weighbridge.content.archives import ARCHIVES, Limits, Problem, walk, zip_at_end
from weighbridge.domain.format_names import EXECUTABLE_FORMATS
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.scanners.interface import Engine, Scanner, Subject, report, worst

VERSION = "4"
#: Findings kept of one archive; the rest is counted in one more.
MAX_FINDINGS = 200
#: Executables inside an archive that a model has no use for.
_SUSPICIOUS = EXECUTABLE_FORMATS - {"pickle", "python"}


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner; it needs nothing that could be missing."""
    return ArchiveScanner()


class ArchiveScanner:
    """Walks archives with limits; satisfies `Scanner`.

    Args:
        limits: what an archive may cost; part of the rules.
    """

    name: ClassVar[str] = "archives"

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def engine(self) -> Engine:
        """Return our own version and the limits' digest."""
        return Engine(VERSION, hashlib.sha256(repr(self._limits).encode()).hexdigest()[:16])

    def accepts(self, subject: Subject) -> bool:
        """Whether the blob is an archive, or ends in one."""
        return subject.format in ARCHIVES or zip_at_end(subject.path)

    def scan(self, subject: Subject) -> ScanReport:
        """Walk the archive to its end; `partial` when something in it could not be read."""
        kind = subject.format if subject.format in ARCHIVES else "zip"
        found = walk(subject.path, self._limits, kind)
        findings = [
            Finding("archive.executable", "warning", f"The member is a {member.format}.", member.location)
            for member in found
            if member.format in _SUSPICIOUS
        ]
        findings += [_finding(problem) for problem in found.problems]
        findings = worst(findings, MAX_FINDINGS, "archive.more")
        if found.unread:
            return report(self.name, self.engine(), subject, status="partial", reason=found.unread, findings=findings)
        return report(self.name, self.engine(), subject, findings=findings)


def _finding(problem: Problem) -> Finding:
    return Finding(problem.rule, problem.level, problem.message, problem.location)
