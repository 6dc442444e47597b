"""Attacks on the gate: content that one program reads as something else, or that a reader could be led past.

Each was checked by hand against the loader it is meant for; here nothing is ever loaded.
"""

import io
import lzma
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulators import samples
from weighbridge.content.detection import detect_file
from weighbridge.content.pickles import machine
from weighbridge.domain.digest import Digest
from weighbridge.domain.report import ScanReport
from weighbridge.scanners.archives import ArchiveScanner
from weighbridge.scanners.interface import Scanner, Subject
from weighbridge.scanners.pickles import PickleScanner

EVIL = b"cbuiltins\neval\n(S'1'\ntR."
HEADER = b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
SAFETENSORS = struct.pack("<Q", len(HEADER)) + HEADER + bytes(4)


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., ScanReport]:
    def run(scanner: Scanner, content: bytes, name: str) -> ScanReport:
        path = tmp_path / name
        path.write_bytes(content)
        wanted = Subject(Digest.sha256(content), path, len(content), name, detect_file(name, path))
        assert scanner.accepts(wanted)
        return scanner.scan(wanted)

    return run


def harmful(report: ScanReport) -> bool:
    return report.status != "completed" or any(finding.level == "error" for finding in report.findings)


#: What C's unpickler reads and goes on after, in pickles without a mark at their beginning.
TAKEN_BY_C = {
    "a NUL in a place": b"I0\np0\0junk\n0",
    "a NUL in a fetched place": b"I0\np0\ng0\0junk\n00",
    "many spaces before a place": b"I0\np" + b" " * 70_000 + b"0\n0",
    "a NUL in a number": b"F1.0\0junk\n0",
    "a long number": b"F1." + b"0" * 70_000 + b"\n0",
    "a long persistent id": b"P" + b"a" * 70_000 + b"\n0",
    "a long path of attributes": b"I0\n0\x80\x04cbuiltins\nint" + b".__class__" * 7_000 + b"\n0",
    "a place far away": b"I0\nr\xff\xff\xff\x000",
}


@pytest.mark.parametrize("name", ["weights.dat", "README.md"])
@pytest.mark.parametrize("trick", TAKEN_BY_C)
def test_what_c_goes_on_after_is_gone_on_after(scan: Callable[..., ScanReport], trick: str, name: str) -> None:
    assert harmful(scan(PickleScanner(), TAKEN_BY_C[trick] + EVIL, name))


@pytest.mark.parametrize("name", ["weights.dat", "notes.txt"])
def test_the_old_torch_format_without_marks_is_followed_to_its_fourth_pickle(
    scan: Callable[..., ScanReport], name: str
) -> None:
    content = b"L119547037146038801333356L\n.I1001\n.(d." + EVIL
    assert any(finding.rule == "pickle.global" for finding in scan(PickleScanner(), content, name).findings)


TEXTS = {
    "config.yaml": b"config:\n  a: b.c\n  d: 2\n",
    "modeling.py": b"class Model:\n    x = a.load\n    y = 2\n",
    "vocab.txt": b"cat\ndog\nbird\n",
    "README.md": b"copyright\nfoo bar\nbaz\n",
    "notes.txt": b"I am\nN0.\n",
    "LICENSE": b"(c) 2026 Somebody\nAll rights reserved.\n",
    "story.md": b"Pray\nIt\nLong\n.\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_begins_as_a_pickle_could_is_a_text(scan: Callable[..., ScanReport], name: str) -> None:
    report = scan(PickleScanner(), TEXTS[name], name)
    assert (report.status, report.findings) == ("completed", ())


def test_a_picture_that_is_a_pickle_is_found(scan: Callable[..., ScanReport]) -> None:
    report = scan(PickleScanner(), b"GIF89a\0\0\0" + b"0" + EVIL, "picture.gif")
    assert (report.subject, harmful(report)) == ("image", True)


@pytest.mark.parametrize("name", ["weights.dat", "notes.txt", "model.joblib"])
def test_a_compressed_pickle_runs_before_its_container_breaks(scan: Callable[..., ScanReport], name: str) -> None:
    cut = zlib.compress(EVIL + random.Random(1).randbytes(100_000))[:-1000]
    report = scan(PickleScanner(), cut, name)
    assert (report.status, harmful(report)) == ("partial", True)
    assert any(finding.rule == "pickle.global" for finding in report.findings)


def test_the_oldest_container_of_lzma_is_opened(scan: Callable[..., ScanReport]) -> None:
    report = scan(PickleScanner(), lzma.compress(EVIL, lzma.FORMAT_ALONE), "weights.dat")
    assert any(finding.rule == "pickle.global" for finding in report.findings)


def test_lzma_that_asks_for_more_memory_than_may_be_is_unread(scan: Callable[..., ScanReport]) -> None:
    content = bytearray(lzma.compress(EVIL, lzma.FORMAT_ALONE))
    content[1:5] = struct.pack("<I", 3 << 30)
    assert scan(PickleScanner(), bytes(content), "weights.dat").status == "partial"


def test_compressed_content_within_compressed_content_ends(scan: Callable[..., ScanReport]) -> None:
    content = EVIL
    for _ in range(2_000):
        content = zlib.compress(content, 0)
    assert scan(PickleScanner(), content, "weights.dat").reason.startswith("archive.nesting")


def test_more_values_than_can_be_followed_are_unread(
    scan: Callable[..., ScanReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MAX_VALUES", 100)
    assert scan(PickleScanner(), b"N" * 101 + EVIL, "weights.dat").status == "partial"


def test_overlapping_walks_share_what_they_may_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = machine.Budget(1000)
    content = (b"N0" * 300) + b"N."
    walks = [machine.walk(io.BytesIO(content), len(content), budget=budget) for _ in range(3)]
    assert [walked.limited for walked in walks] == [False, True, True]
    assert not walks[2].stopped


CARRIERS = {
    "model.safetensors": SAFETENSORS,
    "model.gguf": b"GGUF\3\0\0\0" + bytes(200),
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "paper.pdf": b"%PDF-1.7\n",
    "README.md": b"# A model\n",
}


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("comment", [b"", b"c" * 65_000])
def test_a_zip_behind_anything_is_found(scan: Callable[..., ScanReport], name: str, comment: bytes) -> None:
    behind = samples.torch_zip(samples.malicious_pickle(2))
    behind = behind[:-2] + struct.pack("<H", len(comment)) + comment
    content = CARRIERS[name] + behind
    assert any(finding.rule == "pickle.global" for finding in scan(PickleScanner(), content, name).findings)
    report = scan(ArchiveScanner(), content, name)
    assert (report.status, harmful(report)) == ("partial", True)
    assert "archive.hidden-data" in {finding.rule for finding in report.findings}


@pytest.mark.parametrize("name", CARRIERS)
def test_a_zip_behind_a_member_is_found(scan: Callable[..., ScanReport], name: str) -> None:
    many = samples.zip_of({f"{number:0100}": b"1" for number in range(800)})  # A directory longer than the tail.
    for behind in (samples.zip_of({"a": b"1" * 3_000_000}), many):
        report = scan(ArchiveScanner(), samples.tar_of({name: CARRIERS[name] + behind}), "model.tar")
        assert report.status == "partial"
        assert "archive.hidden-data" in {finding.rule for finding in report.findings}
    assert scan(ArchiveScanner(), samples.tar_of({name: CARRIERS[name]}), "model.tar").status == "completed"


def test_the_mark_of_a_zips_end_alone_is_no_zip(scan: Callable[..., ScanReport], tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(SAFETENSORS + b"PK\5\6" + random.Random(2).randbytes(40_000))
    wanted = Subject(Digest.sha256(b""), path, path.stat().st_size, path.name, "safetensors")
    assert not ArchiveScanner().accepts(wanted)
