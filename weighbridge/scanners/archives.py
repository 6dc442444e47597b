"""The scanner `archives`: walks and examines every member, and reports an archive's faults and unread parts."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import ClassVar

from weighbridge.config.settings import Settings
from weighbridge.content.archives import ARCHIVES, Limits, Problem, walk, zip_at_end
from weighbridge.content.members import MemberExaminer
from weighbridge.domain.report import Finding, ScanReport, Status
from weighbridge.scanners.interface import Engine, Scanner, Subject, Worst, report

VERSION = "7"
#: The most findings of one archive; one more counts the rest.
MAX_FINDINGS = 200


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner; it has no requirements."""
    return ArchiveScanner()


class ArchiveScanner:
    """Walks archives within limits; satisfies `Scanner`.

    Args:
        limits: the limits of the walk; part of the rules.
    """

    name: ClassVar[str] = "archives"

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def engine(self) -> Engine:
        """Return our own version and the limits' digest."""
        return Engine(VERSION, hashlib.sha256(repr(self._limits).encode()).hexdigest()[:16])

    def accepts(self, subject: Subject) -> bool:
        """Return whether the blob is an archive, or ends with one."""
        return subject.format in ARCHIVES or zip_at_end(subject.path)

    def scan(self, subject: Subject) -> ScanReport:
        """Walk the archive to its end and examine every member as a file of the model.

        The report is `partial` when a part could not be read, or a member's check failed.
        """
        kind = subject.format if subject.format in ARCHIVES else "zip"
        found = walk(subject.path, self._limits, kind)
        findings = Worst(MAX_FINDINGS, "archive.more")
        unread = ""
        with MemberExaminer() as examiner:
            for member in found:
                check = examiner.examine(member)
                findings.add(check.findings)
                if check.status != "completed":
                    unread = unread or f"{member.location}: {check.reason}"
        findings.add(_finding(problem) for problem in found.problems)
        unread = found.unread or unread
        status: Status = "partial" if unread else "completed"
        return report(self.name, self.engine(), subject, status=status, reason=unread, findings=findings.all)


def _finding(problem: Problem) -> Finding:
    return Finding(problem.rule, problem.level, problem.message, problem.location)
