"""Delta scans: a blob that was clean under older signatures is scanned for the added ones, by a clamd of their own.

What that clamd recognises, or cannot read whole, is scanned with all signatures at once, so a delta report is always
clean. Everything that is not proven is scanned whole too. Not here: what was added (clamd.difference), and whether a
policy lets such reports count (domain.deltas).
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from weighbridge.domain.deltas import delta_report, refusal, whole_rules
from weighbridge.domain.report import ScanReport
from weighbridge.domain.signatures import SignatureDatabase
from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamav import ClamAVScanner
from weighbridge.scanners.clamd import snapshots
from weighbridge.scanners.clamd.difference import DatabaseDifference, difference
from weighbridge.scanners.clamd.snapshots import Snapshot
from weighbridge.scanners.interface import Subject
from weighbridge.system.claimed_folders import claimed

_log = logging.getLogger(__name__)
#: The most clamds for added signatures at once, each for the signatures that some reports were made with.
MOST = 4
_FOLDER = ".delta-"


@dataclass(frozen=True)
class _Added:
    """What was added to some signatures: a scanner, or the reason why there is none."""

    scanner: ClamAVScanner | None
    reason: str = ""
    fingerprints: tuple[str, str, str] = ("", "", "")
    since: str = ""


class DeltaScanner:
    """Scans blobs for what was added to the signatures of their earlier reports. Safe for threads; a context manager.

    Args:
        whole: the scanner with all of today's signatures; it stays open for as long.
        home: the home folder, with the snapshots of signatures.
    """

    def __init__(self, whole: ClamAVScanner, home: Path) -> None:
        self._whole, self._home = whole, home
        self._closing, self._lock = ExitStack(), Lock()
        self._known: dict[str, _Added] = {}

    def __enter__(self) -> DeltaScanner:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def obstacle(self, subject: Subject, earlier: ScanReport) -> str:
        """Return why the blob has to be scanned with all signatures, as a sentence, or empty.

        Raises:
            ScannerUnavailable: today's signatures cannot be read.
        """
        engine = self._whole.engine()
        if (earlier.digest, earlier.subject, earlier.scanner) != (subject.digest, subject.format, self._whole.name):
            return "The earlier report is about something else."
        return refusal(earlier, engine.version, engine.rules) or self._added(earlier).reason

    def scan(self, subject: Subject, earlier: ScanReport) -> ScanReport:
        """Return a delta report, or the report of a whole scan where there is an obstacle or something was recognised.

        Args:
            subject: the blob.
            earlier: the newest report of ClamAV's on it, of a whole or a delta scan.

        Raises:
            ScannerUnavailable: clamd died twice, or cannot be started.
        """
        if self.obstacle(subject, earlier):
            return self._whole.scan(subject)
        added = self._added(earlier)
        found = self._of_added(subject, earlier, added)
        if found is None or found.findings or not found.reusable:
            return self._whole.scan(subject)
        engine = self._whole.engine()
        clean = replace(found, version=engine.version, rules=engine.rules, engine=engine.facts)
        return delta_report(clean, earlier, added.fingerprints, added.since)

    def _of_added(self, subject: Subject, earlier: ScanReport, added: _Added) -> ScanReport | None:
        """Return the report of the clamd with the added signatures, or None, also from then on, where it has failed."""
        if added.scanner is None:
            return None
        try:
            return added.scanner.scan(subject)
        except ScannerUnavailable as error:
            _log.warning("Signatures are scanned for whole", extra={"before": added.fingerprints[0], "why": str(error)})
            with self._lock:
                self._known[_fingerprint(earlier)] = _Added(None, "The clamd for added signatures failed.")
            return None

    def _added(self, earlier: ScanReport) -> _Added:
        """Return what was added to the signatures of a report; of several threads, one finds out."""
        before = _fingerprint(earlier)
        with self._lock:
            if before not in self._known:
                self._known[before] = self._opened(before)
            return self._known[before]

    def _opened(self, before: str) -> _Added:
        today = self._whole.snapshot()
        if today is None:
            return _Added(None, "The signatures of a foreign clamd are not at hand.")
        older = snapshots.find(self._home, before)
        if older is None:
            return _Added(None, "The signatures of the earlier report are not kept any more.")
        if sum(1 for one in self._known.values() if one.scanner) >= MOST:
            return _Added(None, f"Reports with {MOST} other signatures are scanned for added ones already.")
        folder = self._closing.enter_context(claimed(snapshots.folder(self._home), _FOLDER)) / "database"
        return self._scanner(older, today, difference(older, today.folder, folder))

    def _scanner(self, older: Path, today: Snapshot, found: DatabaseDifference) -> _Added:
        if found.folder is None:
            _log.info("Signatures are scanned for whole", extra={"before": older.name, "why": found.reason})
            return _Added(None, found.reason)
        chosen = Snapshot(found.folder, SignatureDatabase("custom", found.fingerprint))
        scanner = self._whole.with_signatures(self._home, chosen, self._closing)
        since = datetime.fromtimestamp(older.stat().st_mtime, UTC).date().isoformat()
        return _Added(scanner, "", (older.name, today.database.fingerprint, found.fingerprint), since)


def _fingerprint(report: ScanReport) -> str:
    """Return the first digits of the fingerprint of a report's signatures."""
    return whole_rules(report).partition("/")[0]
