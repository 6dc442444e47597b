"""The reports of today's engines on all of a version's files, by which it is judged anew.

Not here: the verdict, and what follows from it (intake.recalling).
"""

from __future__ import annotations

from weighbridge.domain.report import ScanReport
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import scanning
from weighbridge.intake.blob_scans import SlowProgress, is_of_the_blob, reports_for
from weighbridge.intake.machine_share import SharedSlots
from weighbridge.intake.recalling import judge_again
from weighbridge.intake.workspace import Workspace


def judged_anew(name: str, number: str, workspace: Workspace, slots: SharedSlots) -> bool | None:
    """Judge a version anew and return whether its verdict changed; None where a report is missing.

    Args:
        name: the model's name.
        number: the version's.
        workspace: has engines, store and catalog.
        slots: limit what is scanned: a blob may be new under one of its names.

    Raises:
        ScannerUnavailable: an engine stopped and could not be restarted.
        WeighbridgeError: the version cannot be judged.
    """
    version = workspace.catalog.get(name, number)
    if version is None or not version.manifest.files:
        return None
    reports = _reports(version, workspace, slots)
    if reports is None:
        return None
    return judge_again(name, number, workspace, reports).flipped


def _reports(version: ModelVersion, workspace: Workspace, slots: SharedSlots) -> tuple[ScanReport, ...] | None:
    """Return the reports of today; where the bytes are gone, those on the formats that were seen then."""
    entries, engines, store = version.manifest.files, workspace.engines, workspace.store
    digests = sorted({str(entry.digest) for entry in entries if entry.digest})
    known = workspace.catalog.rescans.known(engines.marks, digests)
    if not all(entry.digest and store.has(entry.digest) for entry in entries):
        pairs = sorted({(str(report.digest), report.subject) for report in version.reports})
        is_whole = {digest for digest, _ in pairs} >= set(digests)
        return reports_for(pairs, known, engines) if is_whole else None
    subjects = scanning.subjects(entries, store)
    pairs = [(str(subject.digest), subject.format) for subject in subjects]
    found = reports_for(pairs, known, engines)
    if found is not None:
        return found
    complete = {pair for pair in pairs if reports_for([pair], known, engines) is not None}
    missing = [subject for subject in subjects if (str(subject.digest), subject.format) not in complete]
    progress = SlowProgress(workspace.progress, slots)
    scanned = [one for one in scanning.scan(missing, engines, known, slots, progress) if is_of_the_blob(one)]
    workspace.catalog.add_reports(scanned)
    return reports_for(pairs, [*known, *scanned], engines)
