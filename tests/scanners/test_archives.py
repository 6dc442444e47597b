"""Archives: what is wrong with one is found, and what stayed unread is said."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulators import samples
from weighbridge.archives import Limits, walk
from weighbridge.digest import Digest
from weighbridge.formats import detect_file
from weighbridge.report import ScanReport
from weighbridge.scanners.archives import ArchiveScanner
from weighbridge.scanners.interface import Subject


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., ScanReport]:
    def run(content: bytes, name: str = "model.zip", limits: Limits | None = None) -> ScanReport:
        path = tmp_path / name
        path.write_bytes(content)
        wanted = Subject(Digest.sha256(content), path, len(content), name, detect_file(name, path))
        scanner = ArchiveScanner(limits)
        assert scanner.accepts(wanted)
        return scanner.scan(wanted)

    return run


def rules(report: ScanReport) -> set[str]:
    return {finding.rule for finding in report.findings}


CLEAN: dict[str, Callable[[Path], bytes]] = {
    "a.zip": lambda _: samples.zip_of({"a": b"1", "b/c": b"2" * 5000}, zipfile.ZIP_DEFLATED),
    "torch.pt": lambda _: samples.torch_zip(samples.state_dict_pickle()),
    "a.tar": lambda _: samples.tar_of({"a": b"1", "b/c": b"2" * 5000}),
    "a.tar.gz": lambda _: samples.tar_of({"a": b"1"}, "w:gz"),
    "a.tar.xz": lambda _: samples.tar_of({"a": b"1"}, "w:xz"),
    "a.tar.bz2": lambda _: samples.tar_of({"a": b"1"}, "w:bz2"),
    "a.tar.zst": lambda _: zstd.compress(samples.tar_of({"a": b"1"})),
    "a.7z": lambda folder: samples.seven_zip_of(folder, {"a": b"1", "b": b"2" * 5000}),
    "a.gz": lambda _: gzip.compress(b"x" * 5000),
    "a.bz2": lambda _: bz2.compress(b"x" * 5000),
    "a.xz": lambda _: lzma.compress(b"x" * 5000),
    "nested.zip": lambda folder: samples.zip_of({"a.7z": samples.seven_zip_of(folder, {"b.zip": samples.zip_of({})})}),
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_a_sound_archive_is_walked_to_its_end(scan: Callable[..., ScanReport], tmp_path: Path, name: str) -> None:
    report = scan(CLEAN[name](tmp_path), name)
    assert (report.status, report.findings) == ("completed", ())
    assert report.bytes_covered == report.bytes_total


@pytest.mark.parametrize("name", CLEAN)
def test_a_cut_archive_is_never_complete(scan: Callable[..., ScanReport], tmp_path: Path, name: str) -> None:
    content = CLEAN[name](tmp_path)
    whole = len(content.rstrip(b"\0")) if name == "a.tar" else len(content)  # A tar ends in much padding.
    report = scan(content[: whole * 2 // 3], name)
    assert report.status == "partial"
    assert report.bytes_covered == 0


def test_members_are_measured_and_named(tmp_path: Path) -> None:
    path = tmp_path / "outer.zip"
    path.write_bytes(samples.zip_of({"inner.tar": samples.tar_of({"a.bin": b"x" * 3_000_000})}))
    found = walk(path)
    sizes = {member.location: member for member in found}
    assert sizes["inner.tar!a.bin"].size == 3_000_000
    assert sizes["inner.tar!a.bin"].depth == 2


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "C:\\x", "a\\..\\b"])
def test_names_that_leave_the_folder(scan: Callable[..., ScanReport], name: str) -> None:
    assert "archive.unsafe-name" in rules(scan(samples.zip_of({name: b"x"})))
    assert "archive.unsafe-name" in rules(scan(samples.tar_of({name: b"x"}), "a.tar"))


def test_duplicate_names(scan: Callable[..., ScanReport]) -> None:
    assert "archive.duplicate" in rules(scan(samples.zip_of({"a": b"1", "A": b"2"})))


def tar_with(kind: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("entry")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (tarfile.SYMTYPE, "archive.link"),
        (tarfile.LNKTYPE, "archive.link"),
        (tarfile.CHRTYPE, "archive.device"),
        (tarfile.FIFOTYPE, "archive.device"),
    ],
)
def test_links_and_devices(scan: Callable[..., ScanReport], kind: bytes, rule: str) -> None:
    assert rule in rules(scan(tar_with(kind), "a.tar"))


def test_a_link_in_a_zip(scan: Callable[..., ScanReport]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "archive.link" in rules(scan(buffer.getvalue()))


@pytest.mark.parametrize("name", ["model.zip", "model.7z"])
def test_encrypted_content(scan: Callable[..., ScanReport], tmp_path: Path, name: str) -> None:
    content = samples.encrypted_zip() if name.endswith("zip") else samples.seven_zip_of(tmp_path, {"a": b"1"}, "pass")
    report = scan(content, name)
    assert "archive.encrypted" in rules(report)
    assert report.status == "partial"


SMALL = Limits(free_size=1024 * 1024, max_ratio=20, max_members=50, max_depth=4)


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz", "bomb.7z", "bomb.gz", "nested.zip"])
def test_bombs_stop_at_the_limit(scan: Callable[..., ScanReport], tmp_path: Path, name: str) -> None:
    zeros = bytes(8 * 1024 * 1024)
    content = {
        "bomb.zip": lambda: samples.zip_of({"a": zeros}, zipfile.ZIP_DEFLATED),
        "bomb.tar.gz": lambda: samples.tar_of({"a": zeros}, "w:gz"),
        "bomb.7z": lambda: samples.seven_zip_of(tmp_path, {"a": zeros}),
        "bomb.gz": lambda: gzip.compress(zeros),
        "nested.zip": lambda: samples.zip_of({"a.zip": samples.zip_of({"b": zeros}, zipfile.ZIP_DEFLATED)}),
    }[name]()
    report = scan(content, name, SMALL)
    assert report.status == "partial"
    assert rules(report) & {"archive.bomb", "archive.malformed"}


def test_too_many_members_and_too_deep(scan: Callable[..., ScanReport]) -> None:
    assert "archive.bomb" in rules(scan(samples.zip_of({str(n): b"" for n in range(60)}), limits=SMALL))
    content = b"x"
    for _ in range(6):
        content = samples.zip_of({"inner.zip": content})
    report = scan(content, limits=SMALL)
    assert "archive.nesting" in rules(report)
    assert report.status == "partial"


def test_a_wrong_checksum(scan: Callable[..., ScanReport]) -> None:
    content = bytearray(samples.zip_of({"a": b"x" * 1000}))
    content[content.index(b"xxxx") + 3] ^= 1
    report = scan(bytes(content))
    assert "archive.malformed" in rules(report)
    assert report.status == "partial"


def test_bytes_that_belong_to_no_member(scan: Callable[..., ScanReport]) -> None:
    archive = samples.zip_of({"a": b"1"})
    assert not rules(scan(archive))
    # Two zips in one file: a reader of the directory sees the second only.
    both = samples.zip_of({"hidden": b"evil"}) + archive
    assert "archive.hidden-data" in rules(scan(both))


def test_a_header_that_says_something_else(scan: Callable[..., ScanReport]) -> None:
    content = bytearray(samples.zip_of({"a": b"1" * 100}))
    struct.pack_into("<H", content, 8, zipfile.ZIP_DEFLATED)
    assert "archive.ambiguous" in rules(scan(bytes(content)))


def test_executables_are_named(scan: Callable[..., ScanReport]) -> None:
    assert "archive.executable" in rules(scan(samples.zip_of({"lib.so": b"\x7fELF" + bytes(100)})))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), value=st.integers(0, 255), name=st.sampled_from(["a.zip", "a.tar", "a.gz", "a.xz"]))
def test_no_change_breaks_the_walk(tmp_path: Path, place: int, value: int, name: str) -> None:
    content = bytearray(CLEAN[name](tmp_path))
    content[place % len(content)] = value
    path = tmp_path / "any"
    path.write_bytes(bytes(content) + os.urandom(3))
    list(walk(path))
