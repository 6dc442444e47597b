"""Scanning: runs every scanner over every blob once; reports of the same engine on the same blob are reused.

Not here: what an engine does (scanners), or the effect of its report (domain.gate).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import BoundedSemaphore

from weighbridge.content.detection import detect_file
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.report import NOT_APPLICABLE, ScanReport
from weighbridge.domain.version import ModelVersion
from weighbridge.scanners.interface import Engine, Scanner, Subject, report
from weighbridge.store.interface import BlobStore

ReportKey = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Engines:
    """The scanners of one run with the engine of each, asked once.

    Attributes:
        scanners: in the order reports are shown.
        engines: by scanner name.
    """

    scanners: tuple[Scanner, ...]
    engines: Mapping[str, Engine]

    @classmethod
    def of(cls, scanners: Sequence[Scanner]) -> Engines:
        """Ask each scanner for its engine. Raises ScannerUnavailable."""
        return cls(tuple(scanners), {scanner.name: scanner.engine() for scanner in scanners})

    def current(self, reports: Iterable[ScanReport]) -> tuple[ScanReport, ...]:
        """Return the reports that today's engines would write again."""
        return tuple(
            found
            for found in reports
            if (engine := self.engines.get(found.scanner))
            and (found.version, found.rules) == (engine.version, engine.rules)
        )


def recall(wanted: Sequence[Subject], known: Iterable[ScanReport], engines: Engines) -> tuple[ScanReport, ...] | None:
    """Return an earlier report of every scanner's current engine on every subject, or None when any is missing.

    Reports on the same bytes under a name that makes them another format do not count.
    """
    said = {
        found.key: found
        for found in engines.current(known)
        if found.reusable or (found.status == "skipped" and found.reason == NOT_APPLICABLE)
    }
    keys = [_key(subject, name, engine) for subject in wanted for name, engine in engines.engines.items()]
    return tuple(said[key] for key in keys) if all(key in said for key in keys) else None


def recall_version(version: ModelVersion, engines: Engines, *, partial: bool = False) -> tuple[ScanReport, ...] | None:
    """Return the reports that a settled version is based on, or None when a current engine would report more.

    They are of the same bytes under the same names, so no blob has to be opened to detect its format again.

    Args:
        version: a settled version.
        engines: the current engines.
        partial: whether a partial report counts, if the engine would read no more of the file today.
    """
    said = {
        (found.digest, found.subject, found.scanner)
        for found in engines.current(version.reports)
        if found.reusable
        or (found.status == "skipped" and found.reason == NOT_APPLICABLE)
        or (partial and found.status == "partial")
    }
    pairs = {(found.digest, found.subject) for found in version.reports}
    unscanned = {entry.digest for entry in version.manifest.files} - {digest for digest, _ in pairs}
    whole = not unscanned and all((*pair, name) in said for pair in pairs for name in engines.engines)
    return engines.current(version.reports) if whole else None


def _key(subject: Subject, scanner: str, engine: Engine) -> ReportKey:
    return (str(subject.digest), scanner, engine.version, engine.rules, subject.format)


def subjects(entries: Iterable[FileEntry], blobs: BlobStore) -> tuple[Subject, ...]:
    """Return the subjects to scan: each pair of blob and format once, whatever the files are called."""
    found: dict[tuple[str, str], Subject] = {}
    for entry in entries:
        if entry.digest is None or entry.size is None:
            raise ValueError("scanning needs computed entries")
        path = blobs.path(entry.digest)
        kind = detect_file(entry.path, path)
        found.setdefault((entry.digest.hex, kind), Subject(entry.digest, path, entry.size, entry.path, kind))
    return tuple(found.values())


def scan(
    wanted: Sequence[Subject],
    engines: Engines,
    known: Iterable[ScanReport],
    slots: BoundedSemaphore,
    progress: Progress | None = None,
) -> tuple[ScanReport, ...]:
    """Return one report for each subject and scanner, in that order.

    Args:
        wanted: the subjects to scan.
        engines: the engines to scan with.
        known: earlier reports; a reusable one of the same key is used as it is.
        slots: limits how many blobs are read at once, in all calls of the run together.
        progress: receives the bytes done.

    Raises:
        ScannerUnavailable: an engine stopped and could not be restarted. Nothing else: bad content is a finding.
    """
    progress = progress or Silent()
    earlier: dict[ReportKey, ScanReport] = {found.key: found for found in known if found.reusable}
    progress.expect("scan", sum(subject.size for subject in wanted))
    with ThreadPoolExecutor(max_workers=max(1, min(len(wanted), 32)), thread_name_prefix="scan") as pool:
        jobs = [pool.submit(_scan_one, subject, engines, earlier, slots, progress) for subject in wanted]
        return tuple(found for job in jobs for found in job.result())


def _scan_one(
    subject: Subject,
    engines: Engines,
    earlier: Mapping[ReportKey, ScanReport],
    slots: BoundedSemaphore,
    progress: Progress,
) -> tuple[ScanReport, ...]:
    reports = []
    told = _Told(subject.size, progress)
    subject = replace(subject, heard=told.heard)
    for scanner in engines.scanners:
        engine = engines.engines[scanner.name]
        if found := earlier.get(_key(subject, scanner.name, engine)):
            reports.append(found)
        elif not scanner.accepts(subject):
            reports.append(report(scanner.name, engine, subject, status="skipped", reason=NOT_APPLICABLE))
        else:
            with slots:
                progress.say("scan", f"{scanner.name}: {subject.name}")
                reports.append(scanner.scan(subject))
    told.rest()
    return tuple(reports)


class _Told:
    """The bytes of one blob that were reported as progress: at most its size, however often its bytes are read."""

    def __init__(self, size: int, progress: Progress) -> None:
        self._left, self._progress = size, progress

    def heard(self, amount: int) -> None:
        """Report some of its bytes."""
        amount = min(amount, self._left)
        self._left -= amount
        self._progress.advance("scan", amount)

    def rest(self) -> None:
        """Report the rest of its bytes."""
        self.heard(self._left)
