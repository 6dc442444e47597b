"""What is scanned, and what need not be scanned again."""

from pathlib import Path
from threading import BoundedSemaphore
from typing import ClassVar

from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.report import ScanReport
from weighbridge.intake import scanning
from weighbridge.intake.scanning import Engines
from weighbridge.scanners.interface import Engine, Subject, report
from weighbridge.store.local import LocalBlobStore


class OnlyPickles:
    """A scanner that has nothing to say about anything but pickles."""

    name: ClassVar[str] = "only"

    def __init__(self, rules: str = "1") -> None:
        self.rules, self.scanned = rules, 0

    def engine(self) -> Engine:
        return Engine("1", self.rules)

    def accepts(self, subject: Subject) -> bool:
        return subject.format == "pickle"

    def scan(self, subject: Subject) -> ScanReport:
        self.scanned += 1
        return report(self.name, self.engine(), subject)


def subjects(folder: Path, *names: str) -> tuple[Subject, ...]:
    store = LocalBlobStore(folder)
    digest = store.put([b"I0\n."])
    return scanning.subjects([FileEntry(name, 4, digest) for name in names], store)


def test_what_was_said_of_the_same_bytes_under_a_harmless_name_does_not_count(tmp_path: Path) -> None:
    scanner = OnlyPickles()
    engines = Engines.of([scanner])
    note, model = subjects(tmp_path, "note.md"), subjects(tmp_path, "model.pkl")
    known = scanning.scan(note, engines, (), BoundedSemaphore(1))
    assert scanning.recall(note, known, engines) == known
    assert scanning.recall(model, known, engines) is None
    both = scanning.scan(model, engines, known, BoundedSemaphore(1))
    assert [(found.subject, found.status) for found in both] == [("pickle", "completed")]
    assert scanner.scanned == 1


def test_one_blob_with_names_of_two_formats_is_scanned_as_both(tmp_path: Path) -> None:
    wanted = subjects(tmp_path, "note.md", "model.pkl", "again.pkl")
    assert sorted(subject.format for subject in wanted) == ["markdown", "pickle"]


def test_another_rule_set_scans_again(tmp_path: Path) -> None:
    wanted = subjects(tmp_path, "model.pkl")
    known = scanning.scan(wanted, Engines.of([OnlyPickles()]), (), BoundedSemaphore(1))
    assert scanning.recall(wanted, known, Engines.of([OnlyPickles("2")])) is None
