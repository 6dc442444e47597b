"""The scanner `formats`: whether a file is validly what it claims to be, and what in its structure is worth knowing.

Reads headers and configurations whole, weights never: `bytes_covered` says how much that was. A report is complete when
everything that the format's check needs was read, whatever it found. Not here: the checks (content.examination),
signatures (scanners.clamav), opcodes of pickles (pickles), members of archives (archives), a name that says something
else than the content (domain.policy), as reports are of bytes, whatever they are called.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import ClassVar

import weighbridge
from weighbridge.config.settings import Settings
from weighbridge.content.examination import Item, examine
from weighbridge.domain.report import ScanReport
from weighbridge.scanners.interface import Engine, Scanner, Subject, report

#: What this scanner reports, by version: it is raised when a golden report changes (tests/scanners/test_golden.py), and
#: every blob is then scanned again by it.
VERSION = "3"


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner; it needs nothing that could be missing."""
    return FormatsScanner()


class FormatsScanner:
    """Structure of every format that Weighbridge knows; see the module."""

    name: ClassVar[str] = "formats"

    def engine(self) -> Engine:
        """Return what it scans with."""
        return Engine(weighbridge.__version__, VERSION)

    def accepts(self, subject: Subject) -> bool:
        """Everything: a file of an unknown format is a finding too."""
        return True

    def scan(self, subject: Subject) -> ScanReport:
        """Check one blob as the format that it was detected to be."""
        check = examine(Item(subject.name, subject.path, subject.size, subject.format))
        return report(
            self.name,
            self.engine(),
            subject,
            status=check.status,
            reason=check.reason,
            covered=min(check.covered, subject.size),
            findings=check.findings,
        )
