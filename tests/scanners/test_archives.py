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
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulators import samples
from weighbridge.content.archives import Limits, walk
from weighbridge.content.detection import detect_file
from weighbridge.domain.digest import Digest
from weighbridge.domain.report import ScanReport
from weighbridge.errors import ScannerUnavailable
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
    "a.zst": lambda _: zstd.compress(b"x" * 5000),
    "a.gz": lambda _: gzip.compress(b"x" * 5000),
    "a.bz2": lambda _: bz2.compress(b"x" * 5000),
    "a.xz": lambda _: lzma.compress(b"x" * 5000),
    "lzma.zip": lambda _: samples.zip_of({"a": b"2" * 5000}, zipfile.ZIP_LZMA),
    "bzip2.zip": lambda _: samples.zip_of({"a": b"2" * 5000}, zipfile.ZIP_BZIP2),
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


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "C:\\x", "a\\..\\b"])
def test_names_that_leave_the_folder(scan: Callable[..., ScanReport], name: str) -> None:
    assert "archive.unsafe-name" in rules(scan(samples.zip_of({name: b"x"})))
    assert "archive.unsafe-name" in rules(scan(samples.tar_of({name: b"x"}), "a.tar"))


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (["a", "a"], "archive.duplicate"),
        (["a", "A"], "archive.case-collision"),
        (["caf\u00e9", "cafe\u0301"], "archive.case-collision"),
    ],
)
def test_names_that_collide(scan: Callable[..., ScanReport], names: list[str], rule: str) -> None:
    members = [(name, b"x") for name in names]
    assert rules(scan(samples.zip_of(members))) == {rule}
    assert rules(scan(samples.tar_of(members), "a.tar")) == {rule}


def test_names_below_the_folder_itself(scan: Callable[..., ScanReport]) -> None:
    """As `tar -C model -c .` writes them."""
    members = {"./": b"", "./config.json": b"{}", "./a/b": b"1"}
    assert rules(scan(samples.zip_of(members))) == set()
    assert rules(scan(samples.tar_of({"./config.json": b"{}", "./a/b": b"1"}), "a.tar")) == set()
    assert rules(scan(samples.tar_of({"./config.json": b"{}", "config.json": b"1"}), "a.tar")) == {"archive.duplicate"}
    assert "archive.unsafe-name" in rules(scan(samples.tar_of({"./../x": b"1"}), "a.tar"))


def test_a_name_with_nul(scan: Callable[..., ScanReport]) -> None:
    content = samples.zip_of({"a.txt?.exe": b"x"}).replace(b"a.txt?.exe", b"a.txt\0.exe")
    assert "archive.unsafe-name" in rules(scan(content))


def test_a_location_can_be_printed_and_stored(scan: Callable[..., ScanReport]) -> None:
    report = scan(samples.tar_of({"\x1b[2J\udcff/../x": b"x"}), "a.tar")
    assert rules(report) == {"archive.unsafe-name"}
    assert all(finding.location.isprintable() and finding.location.encode() for finding in report.findings)


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


def test_a_wrong_checksum_hides_nothing(scan: Callable[..., ScanReport], tmp_path: Path) -> None:
    content = bytearray(samples.zip_of({"a": b"x" * 1000}))
    content[content.index(b"xxxx") + 3] ^= 1
    assert rules(scan(bytes(content))) == {"archive.checksum"}
    # Some loaders do not compare it, so the bytes are walked all the same.
    (member,) = [b"".join(member.chunks()) for member in walk(tmp_path / "model.zip")]
    assert len(member) == 1000


@pytest.mark.parametrize("name", [name for name in CLEAN if name != "nested.zip"])
def test_bytes_after_the_end_are_unread(scan: Callable[..., ScanReport], tmp_path: Path, name: str) -> None:
    report = scan(CLEAN[name](tmp_path) + b"MZ is hidden here", name)
    assert rules(report) == {"archive.hidden-data"}
    assert (report.status, report.bytes_covered) == ("partial", 0)


def test_bytes_that_belong_to_no_member(scan: Callable[..., ScanReport]) -> None:
    archive = samples.zip_of({"a": b"1"})
    assert not rules(scan(archive))
    # Two zips in one file: a reader of the directory sees the second only.
    report = scan(samples.zip_of({"hidden": b"evil"}) + archive)
    assert rules(report) == {"archive.hidden-data"}
    assert report.status == "partial"


def test_a_second_directory_is_no_secret(scan: Callable[..., ScanReport]) -> None:
    """One reader finds the directory from the end, another one where the end record says: here they differ."""
    seen, meant = samples.zip_of({"a": b"1"}), samples.zip_of({"b": b"2"})
    directory = seen.index(b"PK\x01\x02")
    both = bytearray(meant[: meant.index(b"PK\x05\x06")] + seen)
    struct.pack_into("<L", both, len(both) - 6, meant.index(b"PK\x01\x02"))
    assert directory == meant.index(b"PK\x01\x02")
    assert scan(bytes(both)).status == "partial"


def test_a_broken_header_hides_no_member(scan: Callable[..., ScanReport]) -> None:
    content = bytearray(samples.tar_of({"a": b"1", "evil": b"2"}))
    content[1024 + 148] ^= 1  # The second header's checksum: Python stops there, others go on.
    report = scan(bytes(content), "a.tar")
    assert rules(report) == {"archive.hidden-data"}
    assert report.status == "partial"


def test_a_tar_older_than_its_mark(scan: Callable[..., ScanReport]) -> None:
    content = bytearray(samples.tar_of({"a.so": b"\x7fELF"}))
    content[257:265] = bytes(8)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    assert rules(scan(bytes(content), "model.bin")) == {"code.executable"}


def test_a_tar_without_end(scan: Callable[..., ScanReport]) -> None:
    assert rules(scan(samples.tar_of({"a": b"1" * 512})[:1024], "a.tar")) == {"archive.malformed"}


@pytest.mark.parametrize(
    ("offset", "layout", "value"),
    [(8, "<H", zipfile.ZIP_DEFLATED), (30, "<B", ord("b")), (22, "<L", 50), (14, "<L", 1)],
    ids=["compression", "name", "size", "checksum"],
)
def test_a_header_that_says_something_else(
    scan: Callable[..., ScanReport], offset: int, layout: str, value: int
) -> None:
    content = bytearray(samples.zip_of({"a": b"1" * 100}))
    struct.pack_into(layout, content, offset, value)
    report = scan(bytes(content))
    assert rules(report) == {"archive.ambiguous"}


def test_a_size_smaller_than_the_content_hides_nothing(scan: Callable[..., ScanReport], tmp_path: Path) -> None:
    content = bytearray(samples.zip_of({"a": b"1" * 100}, zipfile.ZIP_DEFLATED))
    directory = content.index(b"PK\x01\x02")
    for place in (22, directory + 24):
        struct.pack_into("<L", content, place, 10)
    assert "archive.ambiguous" in rules(scan(bytes(content)))
    assert [member.size for member in walk(tmp_path / "model.zip")] == [100]


def test_members_that_share_their_bytes(scan: Callable[..., ScanReport]) -> None:
    content = samples.overlapping_bomb(members=20, size=1024 * 1024)
    report = scan(content, limits=Limits(free_size=1024 * 1024, max_ratio=20))
    assert {"archive.bomb", "archive.overlap"} <= rules(report)
    assert report.status == "partial"


def test_an_archive_that_holds_itself_ends(scan: Callable[..., ScanReport]) -> None:
    """A quine would go on for ever; so would this chain, but for the limit on depth."""
    content = samples.zip_of({"bottom": b"x"})
    for level in range(40):
        content = gzip.compress(content) if level % 2 else samples.zip_of({"r.zip": content})
    report = scan(content)
    assert rules(report) == {"archive.nesting"}
    assert report.status == "partial"


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_many_bytes_is_not_read(scan: Callable[..., ScanReport], kind: bytes) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, 64 * 1024 * 1024
    report = scan(gzip.compress(info.tobuf() + bytes(info.size)), "a.tar.gz")
    assert "archive.bomb" in rules(report)


@pytest.mark.parametrize(
    "text",
    [b"1" * 3_000_000, b"1 " * 1_500_000, b"1 x=" * 700_000, b"9 a=\n"],
    ids=["digits", "short", "overlapping", "cut"],
)
def test_a_header_of_nonsense_is_read_once(scan: Callable[..., ScanReport], text: bytes) -> None:
    """Readers that search in it, or begin anew at every record, take hours over it, or all memory."""
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, len(text)
    content = info.tobuf() + text + bytes(-len(text) % 512) + samples.tar_of({"a": b"1"})
    report = scan(content, "a.tar")
    assert (rules(report), report.status) == ({"archive.malformed"}, "partial")


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, b"V"])
def test_a_size_below_zero_ends(scan: Callable[..., ScanReport], kind: bytes) -> None:
    info = tarfile.TarInfo("w")
    info.type = kind
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # -1024: there is this header again
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    report = scan(samples.tar_of({"a": b"1"})[:1024] + bytes(header) + bytes(10240), "a.tar")
    assert (rules(report), report.status) == ({"archive.malformed"}, "partial")


def test_a_sparse_member_is_unread(scan: Callable[..., ScanReport]) -> None:
    info = tarfile.TarInfo("w")
    info.size, info.pax_headers = 2, {"GNU.sparse.map": "0,1,1099511627775,1", "GNU.sparse.size": str(2**40)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"12"))
    report = scan(buffer.getvalue(), "a.tar")
    assert (rules(report), report.status) == ({"archive.sparse"}, "partial")


def test_a_directory_of_many_bytes_is_not_read(scan: Callable[..., ScanReport]) -> None:
    directory = bytes(17 * 1024 * 1024)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 0, 0)
    assert "archive.bomb" in rules(scan(b"PK\x03\x04" + directory + end))


def test_folders_and_links_count_as_members(scan: Callable[..., ScanReport]) -> None:
    content = samples.zip_of({f"{number}/": b"" for number in range(60)})
    assert "archive.bomb" in rules(scan(content, limits=SMALL))


def test_a_flood_of_warnings_hides_no_error(scan: Callable[..., ScanReport]) -> None:
    members = {f"{number}.sh": b"#!/bin/sh\n" for number in range(300)}
    report = scan(samples.zip_of({**members, "../evil": b"x"}))
    assert "archive.unsafe-name" in rules(report)
    assert ("archive.more", "warning") in {(finding.rule, finding.level) for finding in report.findings}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_no_space_here_is_no_fact_about_the_archive(
    scan: Callable[..., ScanReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = "weighbridge.content.archives.member_walk.tempfile.NamedTemporaryFile"
    monkeypatch.setattr(full, lambda: Path("/dev/full").open("r+b", buffering=0))  # noqa: SIM115 (the walk closes it)
    with pytest.raises(ScannerUnavailable, match="TMPDIR"):
        scan(samples.zip_of({"inner.zip": samples.zip_of({"a": b"1"})}))


def test_executables_are_named(scan: Callable[..., ScanReport]) -> None:
    assert "code.executable" in rules(scan(samples.zip_of({"lib.so": b"\x7fELF" + bytes(100)})))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), value=st.integers(0, 255), name=st.sampled_from(["a.zip", "a.tar", "a.gz", "a.xz"]))
def test_no_change_breaks_the_walk(tmp_path: Path, place: int, value: int, name: str) -> None:
    content = bytearray(CLEAN[name](tmp_path))
    content[place % len(content)] = value
    path = tmp_path / "any"
    path.write_bytes(bytes(content) + os.urandom(3))
    list(walk(path))


@pytest.mark.parametrize("target", ["/", "//", "/usr"])
def test_a_link_to_the_root_leads_out(scan: Callable[..., ScanReport], target: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("folder")
        info.type, info.linkname = tarfile.SYMTYPE, target
        archive.addfile(info)
    assert [(found.rule, found.level) for found in scan(buffer.getvalue()).findings] == [("archive.link", "error")]


@pytest.mark.parametrize(("second", "found"), [(b"../../evil", {"archive.ambiguous"}), (b"a.txt", set())])
def test_a_second_name_of_a_member_is_ambiguous(
    scan: Callable[..., ScanReport], second: bytes, found: set[str]
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a.txt")
        field = struct.pack("<BL", 1, zlib.crc32(b"a.txt")) + second
        info.extra = struct.pack("<HH", 0x5455, 0) + struct.pack("<HH", 0x7075, len(field)) + field
        archive.writestr(info, b"x")
    assert rules(scan(buffer.getvalue())) == found
