"""The scanner `formats`: checks whether a file is valid in its format, and reports notable parts of its structure.

It reads headers and configurations whole, never weights; `bytes_covered` is the amount. A report is complete when
everything that the format's check needs was read, with any findings. Not here: the checks (content.examination),
signatures (scanners.clamav), opcodes of pickles (pickles), members of archives (archives), a name that contradicts the
content (domain.policy), as reports are about bytes, independent of names.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import ClassVar

import weighbridge
from weighbridge.config.settings import Settings
from weighbridge.content.examination import Item, examine
from weighbridge.domain.report import ScanReport
from weighbridge.scanners.interface import Engine, Scanner, Subject, report

#: The version of this scanner's reports: it is raised when a golden report changes (tests/scanners/test_golden.py), and
#: every blob is then scanned again.
VERSION = "3"


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner; it has no requirements."""
    return FormatsScanner()


class FormatsScanner:
    """Checks the structure of every known format; see the module."""

    name: ClassVar[str] = "formats"

    def engine(self) -> Engine:
        """Return its version."""
        return Engine(weighbridge.__version__, VERSION)

    def accepts(self, subject: Subject) -> bool:
        """Return True: a file of an unknown format is a finding too."""
        return True

    def scan(self, subject: Subject) -> ScanReport:
        """Check one blob in its detected format."""
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
