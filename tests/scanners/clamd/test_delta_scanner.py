"""Delta scans with real clamds: what counts as clean, what is scanned whole, and what a report says of it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scanners.clamd.databases import Files, container, ndb, write
from tests.scanners.containers import zipped
from weighbridge.content.detection import detect_file
from weighbridge.domain import deltas
from weighbridge.domain.digest import Digest
from weighbridge.domain.report import SCANNED_BY, WINDOWED, Finding, ScanReport
from weighbridge.scanners.clamav import ClamAVScanner
from weighbridge.scanners.clamd.backends import ForeignBackend, PrivateBackend
from weighbridge.scanners.clamd.connection import Address
from weighbridge.scanners.clamd.daemon import Daemon
from weighbridge.scanners.clamd.database import eicar
from weighbridge.scanners.clamd.delta_scanner import DeltaScanner
from weighbridge.scanners.interface import Subject

OLD, NEW = b"alpha-marker-0001", b"gamma-marker-0003"
EICAR = ndb("Test.Eicar", eicar())
BEFORE: Files = {"a.ndb": ndb("Old", OLD) + EICAR}
AFTER: Files = {"a.ndb": ndb("Old", OLD) + EICAR, "b.ndb": ndb("New", NEW)}
LATER: Files = {**AFTER, "c.ndb": ndb("Newest", b"omega-marker-0009")}
LIMIT = 100_000


def subject(path: Path, content: bytes) -> Subject:
    path.write_bytes(content)
    return Subject(Digest.sha256(content), path, len(content), path.name, detect_file(path.name, path))


@contextmanager
def scanner(home: Path, files: Files, *, name: str) -> Iterator[ClamAVScanner]:
    folder = home / name
    daemon = Daemon(home, folder if folder.exists() else write(folder, files), 2, LIMIT)
    with ExitStack() as stack:
        stack.callback(daemon.stop)
        yield ClamAVScanner(PrivateBackend(daemon), window_size=64_000, overlap=1000)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def before(home: Path) -> Iterator[ClamAVScanner]:
    with scanner(home, BEFORE, name="before") as opened:
        yield opened


@pytest.fixture(scope="module")
def after(home: Path) -> Iterator[ClamAVScanner]:
    with scanner(home, AFTER, name="after") as opened:
        yield opened


@pytest.fixture(scope="module")
def delta(after: ClamAVScanner, home: Path) -> Iterator[DeltaScanner]:
    with DeltaScanner(after, home) as opened:
        yield opened


CONTENTS = {
    "clean": b"nothing to see here " * 100,
    "clean, in windows": b"nothing to see here " * 10_000,
    "clean members": zipped(a=b"nothing" * 99, b=gzip.compress(b"to see" * 99)),
    "new": b"-" + NEW,
    "new, in windows": b"." * 63_990 + NEW + b"." * 90_000,
    "new in a member": zipped(a=b"nothing" * 99, b=gzip.compress(b"-" + NEW)),
    "old": b"-" + OLD,
    "old and new": OLD + NEW,
}


@pytest.mark.parametrize("case", CONTENTS)
def test_a_delta_scan_says_what_a_whole_one_says(
    before: ClamAVScanner, after: ClamAVScanner, delta: DeltaScanner, tmp_path: Path, case: str
) -> None:
    blob = subject(tmp_path / "file.bin", CONTENTS[case])
    earlier, whole = before.scan(blob), after.scan(blob)
    report = delta.scan(blob, earlier)
    assert (report.status, report.reason, report.findings) == (whole.status, whole.reason, whole.findings)
    assert (report.bytes_covered, report.version) == (whole.bytes_covered, whole.version)
    assert bool(report.findings) == (case not in ("clean", "clean, in windows", "clean members"))
    assert deltas.is_delta(report) == (not report.findings)
    assert (report.reason == WINDOWED) == ("windows" in case)


def test_a_delta_report_names_all_signatures_and_what_it_builds_on(
    before: ClamAVScanner, after: ClamAVScanner, delta: DeltaScanner, home: Path, tmp_path: Path
) -> None:
    blob = subject(tmp_path / "file.bin", CONTENTS["clean"])
    earlier, whole = before.scan(blob), after.scan(blob)
    report = delta.scan(blob, earlier)
    facts = dict(report.engine)
    assert deltas.whole_rules(report) == whole.rules != report.rules
    assert report.id not in (earlier.id, whole.id)
    assert (facts["mode"], facts["builds_on"], facts["whole_report"]) == ("delta", earlier.id, earlier.id)
    assert facts["database_before"].startswith(earlier.rules.partition("/")[0])
    assert facts["database_after"].startswith(whole.rules.partition("/")[0])
    assert len({facts["database_before"], facts["database_after"], facts["database_delta"]}) == 3
    assert facts["database"] == "custom"
    assert ScanReport.from_json(report.to_json()) == report
    with scanner(home, LATER, name="later") as later, DeltaScanner(later, home) as next_delta:
        second = next_delta.scan(blob, report)
        newest = blob_of(tmp_path, b"-omega-marker-0009")
        found = next_delta.scan(newest, before.scan(newest))
    facts_of_second = dict(second.engine)
    assert (facts_of_second["builds_on"], facts_of_second["whole_report"]) == (report.id, earlier.id)
    assert facts_of_second["whole_date"] == facts["whole_date"]
    assert found.findings
    assert not deltas.is_delta(found)


def blob_of(folder: Path, content: bytes) -> Subject:
    return subject(folder / "blob.bin", content)


def test_an_earlier_report_has_to_be_a_clean_one_of_the_same_engine(
    before: ClamAVScanner, delta: DeltaScanner, tmp_path: Path
) -> None:
    blob = blob_of(tmp_path, CONTENTS["clean"])
    earlier = before.scan(blob)
    assert delta.obstacle(blob, earlier) == ""
    fingerprint, limit, version = earlier.rules.split("/")
    wrong = {
        "findings": replace(earlier, findings=(Finding("clamav.signature", "error", "X"),)),
        "whole file": replace(earlier, status="partial", reason="encrypted"),
        "engine": replace(earlier, version="0.1"),
        "way": replace(earlier, rules=f"{fingerprint}/{limit}/{version}0"),
        "another installation": replace(earlier, engine=((SCANNED_BY, "elsewhere"),)),
        "something else": replace(earlier, subject="zip"),
        "something  else": replace(earlier, digest=Digest("sha256", "0" * 64)),
        "not kept": replace(earlier, rules=f"{'0' * 16}/{limit}/{version}"),
    }
    for words, report in wrong.items():
        assert " ".join(words.split()) in delta.obstacle(blob, report), words
        assert not deltas.is_delta(delta.scan(blob, report)), words


def test_changes_that_are_not_proven_are_scanned_whole(home: Path, before: ClamAVScanner, tmp_path: Path) -> None:
    blob = blob_of(tmp_path, CONTENTS["clean"])
    files = {**AFTER, "x.cud": container({"x.pwdb": "pw;Engine:81-255;0;secret\n"})}
    with scanner(home, files, name="password") as after, DeltaScanner(after, home) as delta:
        assert "x.pwdb" in delta.obstacle(blob, before.scan(blob))
        assert not deltas.is_delta(delta.scan(blob, before.scan(blob)))


def test_a_foreign_clamd_has_no_difference(before: ClamAVScanner, home: Path, tmp_path: Path) -> None:
    blob = blob_of(tmp_path, CONTENTS["clean"])
    earlier = before.scan(blob)
    address = Address(path=before._backend.connection().address.path)
    foreign = ClamAVScanner(ForeignBackend(address, LIMIT))
    with DeltaScanner(foreign, home) as delta:
        assert "foreign" in delta.obstacle(blob, replace(earlier, version=foreign.engine().version))


def test_the_folders_of_differences_go_with_their_scanner(
    before: ClamAVScanner, after: ClamAVScanner, home: Path, tmp_path: Path
) -> None:
    blob = blob_of(tmp_path, CONTENTS["clean"])
    with DeltaScanner(after, home) as delta:
        assert deltas.is_delta(delta.scan(blob, before.scan(blob)))
        during = {path.name for path in (home / "clamav" / "databases").iterdir()}
    left = {path.name for path in (home / "clamav" / "databases").iterdir()}
    assert len(during - left) == 1


def test_a_clamd_that_cannot_load_the_difference_is_done_without(
    before: ClamAVScanner, after: ClamAVScanner, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = blob_of(tmp_path, CONTENTS["clean"])
    earlier = before.scan(blob)
    with DeltaScanner(after, home) as delta:
        assert delta.obstacle(blob, earlier) == ""
        for path in (home / "clamav" / "databases").glob(".delta-*/database/added.ndb"):
            path.write_text("no signature\n")
        report = delta.scan(blob, earlier)
        assert not deltas.is_delta(report)
        assert "failed" in delta.obstacle(blob, earlier)
