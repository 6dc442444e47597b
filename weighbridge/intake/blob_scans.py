"""Scanning one blob again: all of its names and formats at once, with what its reports say of this machine left out.

Not here: which blobs are scanned again, and what follows from it (intake.rescanning).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.progress import Progress
from weighbridge.domain.report import ScanReport
from weighbridge.domain.rescans import DueBlob, Gap, counts
from weighbridge.errors import BlobMissing
from weighbridge.intake import scanning
from weighbridge.intake.machine_share import SharedSlots
from weighbridge.intake.scanning import Engines
from weighbridge.intake.workspace import Workspace
from weighbridge.scanners.clamav import NO_ROOM

STEP = "rescan"


@dataclass(frozen=True)
class BlobScan:
    """What another scan of a blob led to.

    Attributes:
        blob: the blob.
        reports: those of today's engines that may be judged.
        gap: what could not be looked at; None where all of it was.
    """

    blob: DueBlob
    reports: tuple[ScanReport, ...] = ()
    gap: Gap | None = None


class SlowProgress:
    """Passes the bytes of scans on as those of a rescan, whose total is known, and pauses for the share.

    Args:
        progress: receives them.
        slots: pause the scanning thread.
    """

    def __init__(self, progress: Progress, slots: SharedSlots) -> None:
        self._progress, self._slots = progress, slots

    def expect(self, step: str, amount: int, unit: str = "") -> None:
        """Ignore it."""

    def skip(self, step: str, amount: int) -> None:
        """Ignore it."""

    def advance(self, step: str, amount: int) -> None:
        """Pass bytes on, and pause."""
        self._progress.advance(STEP, amount)
        self._slots.pause()

    def say(self, step: str, text: str) -> None:
        """Pass on what is scanned."""
        self._progress.say(STEP, text)


def scan_blob(blob: DueBlob, paths: Sequence[str], workspace: Workspace, slots: SharedSlots) -> BlobScan:
    """Scan a blob with the engines of a workspace, which lack a report on it.

    A scan that failed, and one that had no room, say nothing of the blob: their reports are not kept, so that no
    version loses its verdict for a full disk, and the next rescan tries again.

    Args:
        blob: the blob.
        paths: every name that versions have for it: the format may depend on the name.
        workspace: has the store and the engines.
        slots: limit what is scanned at once.

    Raises:
        ScannerUnavailable: an engine stopped and could not be restarted.
    """
    digest, store = Digest.parse(blob.digest), workspace.store
    if not store.has(digest):
        return BlobScan(blob, gap=_gap(blob, "lost", "The store does not have it.", workspace))
    entries = [FileEntry(path, blob.size, digest) for path in paths]
    known = workspace.catalog.rescans.known(workspace.engines.marks, [blob.digest])
    try:
        size = store.size(digest)
        if size != blob.size:
            return BlobScan(blob, gap=_gap(blob, "damaged", f"It has {size:,} of {blob.size:,} bytes.", workspace))
        wanted = scanning.subjects(entries, store)
        progress = SlowProgress(workspace.progress, slots)
        reports = scanning.scan(wanted, workspace.engines, known, slots, progress)
    except (BlobMissing, OSError) as error:
        return BlobScan(blob, gap=_gap(blob, "lost", str(error), workspace))
    if not store.place(digest).exists():  # It was purged meanwhile: a scanner that cannot open it has failed.
        return BlobScan(blob, gap=_gap(blob, "lost", "It was removed during its scan.", workspace))
    kept = tuple(report for report in reports if is_of_the_blob(report))
    unread = [report for report in reports if not is_of_the_blob(report)]
    gap = _gap(blob, "unread", f"{unread[0].scanner}: {unread[0].reason}.", workspace) if unread else None
    return BlobScan(blob, kept, gap)


def is_of_the_blob(report: ScanReport) -> bool:
    """Return whether a report says something of the blob, and not only of the machine that could not read it."""
    return counts(report, partial=True) and report.reason != NO_ROOM


def reports_for(
    pairs: Sequence[tuple[str, str]], known: Sequence[ScanReport], engines: Engines
) -> tuple[ScanReport, ...] | None:
    """Return the report of each engine of today on each pair of a blob and its format; None where one is missing."""
    of_today = {
        (str(report.digest), report.subject, report.scanner): report
        for report in known
        if is_of_the_blob(report) and engines.marks.current(report)
    }
    keys = [(*pair, scanner) for pair in pairs for scanner in engines.engines]
    return tuple(of_today[key] for key in keys) if all(key in of_today for key in keys) else None


def _gap(blob: DueBlob, what: str, detail: str, workspace: Workspace) -> Gap:
    versions = ", ".join(workspace.catalog.rescans.holders(blob.digest))
    return Gap(blob.digest, what, f"{detail.rstrip('.')}. It belongs to {versions}.")
