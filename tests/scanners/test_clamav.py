"""ClamAV's scanner against a real clamd."""

import bz2
import gzip
import io
import lzma
import os
import random
import signal
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from backports import zstd

from tests.scanners.containers import CLEAN, seven_zip, tarred, zipped
from tests.services.clamd import SMALL_LIMIT, WHOLE_FILE_MALWARE, clamd, eicar, signatures, small_clamd
from tests.simulators import samples
from weighbridge.content.archives import Limits
from weighbridge.content.detection import detect_file
from weighbridge.domain.digest import Digest
from weighbridge.domain.report import WINDOWED, ScanReport
from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamav import ENCRYPTED, MAX_FINDINGS, ClamAVScanner
from weighbridge.scanners.clamd.backends import ForeignBackend, PrivateBackend
from weighbridge.scanners.clamd.connection import Address
from weighbridge.scanners.clamd.daemon import Daemon
from weighbridge.scanners.interface import Subject

__all__ = ["clamd", "small_clamd"]


def subject(path: Path) -> Subject:
    size = path.stat().st_size
    digest = Digest.sha256(path.read_bytes()) if size < 2**24 else Digest("sha256", "0" * 64)
    return Subject(digest, path, size, path.name, detect_file(path.name, path))


@pytest.fixture
def scan(clamd: Daemon, tmp_path: Path) -> Callable[..., ScanReport]:
    def run(content: bytes, name: str = "file.bin", **options: int) -> ScanReport:
        path = tmp_path / name
        path.write_bytes(content)
        backend = PrivateBackend(clamd)
        backend.limit = options.pop("limit", backend.limit)
        return ClamAVScanner(backend, **options).scan(subject(path))

    return run


def test_clean_content_is_covered_whole(scan: Callable[..., ScanReport]) -> None:
    report = scan(CLEAN)
    assert (report.status, report.bytes_covered, report.findings) == ("completed", len(CLEAN), ())
    assert dict(report.engine)["database"] == "custom"


@pytest.mark.parametrize(
    "content",
    [
        eicar(),
        CLEAN + eicar() + CLEAN,
        zipped(a=zipped(b=zipped(c=eicar()))),
        gzip.compress(tarred("x", eicar())),
        gzip.compress(eicar()),
        WHOLE_FILE_MALWARE,
    ],
    ids=["plain", "inside", "nested zips", "tar.gz", "gzip", "by digest"],
)
def test_malware_is_found(scan: Callable[..., ScanReport], content: bytes) -> None:
    report = scan(content)
    assert [finding.rule for finding in report.findings] == ["clamav.signature"]
    assert report.findings[0].level == "error"


def test_an_empty_file_is_scanned(scan: Callable[..., ScanReport]) -> None:
    assert scan(b"").status == "completed"


def test_a_large_file_is_read_in_windows(scan: Callable[..., ScanReport]) -> None:
    report = scan(CLEAN * 50, limit=100_000, window_size=64_000, overlap=1000)
    assert (report.status, report.reason, report.bytes_covered) == ("partial", WINDOWED, len(CLEAN) * 50)


@pytest.mark.parametrize("place", [0, 63_990, 64_000, 126_990, 299_900])
def test_a_signature_across_a_window_border_is_found(scan: Callable[..., ScanReport], place: int) -> None:
    content = bytearray(b" " * 300_000)
    content[place : place + 68] = eicar()
    report = scan(bytes(content), limit=100_000, window_size=64_000, overlap=1000)
    assert [finding.rule for finding in report.findings] == ["clamav.signature"]


def test_a_member_above_the_limit_is_read_in_windows(scan: Callable[..., ScanReport]) -> None:
    member = b"\0" * 200_000 + eicar() + b"\0" * 100_000
    report = scan(zipped(large=member), "model.zip", limit=100_000, window_size=64_000, overlap=1000)
    assert (report.status, report.reason) == ("partial", WINDOWED)
    assert ("clamav.signature", "large") in [(finding.rule, finding.location) for finding in report.findings]


@pytest.mark.parametrize(
    "content",
    [
        zipped(zipfile.ZIP_LZMA, x=CLEAN + eicar()),
        zstd.compress(tarred("x", CLEAN + eicar())),
        bz2.compress(CLEAN) + bz2.compress(CLEAN + eicar()),
        seven_zip("x", CLEAN + eicar(), "FILTER_PPMD"),
        seven_zip("x", CLEAN + eicar(), "FILTER_BROTLI"),
        seven_zip("x", CLEAN + eicar(), "FILTER_DEFLATE"),
    ],
    ids=["zip lzma", "tar.zst", "second bzip2", "7z ppmd", "7z brotli", "7z deflate"],
)
def test_malware_in_what_clamd_cannot_unpack_is_found(
    clamd: Daemon, scan: Callable[..., ScanReport], content: bytes
) -> None:
    assert clamd.connection().scan_stream([content]).kind == "ok"
    report = scan(content)
    assert report.status == "completed"
    assert [finding.rule for finding in report.findings] == ["clamav.signature"]


LARGE = bytes(random.Random(1).choices(b"abcdefgh ", k=2 * SMALL_LIMIT))
PACKED = {
    "zip": lambda content: zipped(x=content),
    "stored zip": lambda content: zipped(zipfile.ZIP_STORED, x=content),
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "tar": lambda content: tarred("x", content),
    "tar.gz": lambda content: gzip.compress(tarred("x", content)),
    "7z": lambda content: seven_zip("x", content),
    "zip in zip": lambda content: zipped(a=zipped(zipfile.ZIP_STORED, x=content)),
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("place", [None, 10, SMALL_LIMIT - 30, 2 * SMALL_LIMIT - 68])
def test_a_member_above_clamds_limit_is_read_all_the_same(
    small_clamd: tuple[Daemon, Address], tmp_path: Path, pack: Callable[[bytes], bytes], place: int | None
) -> None:
    member = LARGE if place is None else LARGE[:place] + eicar() + LARGE[place + 68 :]
    path = tmp_path / "file"
    path.write_bytes(pack(member))
    report = ClamAVScanner(PrivateBackend(small_clamd[0]), overlap=1000).scan(subject(path))
    assert (report.status, report.reason, report.bytes_covered) == ("partial", WINDOWED, path.stat().st_size)
    assert {finding.rule for finding in report.findings} == (set() if place is None else {"clamav.signature"})


def test_members_of_an_archive_above_the_limit_are_unpacked(
    small_clamd: tuple[Daemon, Address], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(zipped(zipfile.ZIP_STORED, large=os.urandom(2 * SMALL_LIMIT), small=gzip.compress(eicar())))
    report = ClamAVScanner(PrivateBackend(small_clamd[0]), overlap=1000).scan(subject(path))
    assert report.reason == WINDOWED
    assert [finding.location.split("!")[0] for finding in report.findings] == ["small"]


def test_many_small_members_of_a_large_archive_are_covered(small_clamd: tuple[Daemon, Address], tmp_path: Path) -> None:
    path = tmp_path / "file"
    parts = {f"part{start}": LARGE[start : start + 40_000] for start in range(0, len(LARGE), 40_000)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(buffer.getvalue())
    report = ClamAVScanner(PrivateBackend(small_clamd[0])).scan(subject(path))
    assert (report.status, report.reason, report.bytes_covered) == ("partial", WINDOWED, path.stat().st_size)


@pytest.mark.parametrize("content", [samples.encrypted_zip(), seven_zip("x", CLEAN, password="x")], ids=["zip", "7z"])
def test_encrypted_content_is_not_covered(scan: Callable[..., ScanReport], content: bytes) -> None:
    report = scan(content, "model.zip")
    assert (report.status, report.reason, report.bytes_covered) == ("partial", ENCRYPTED, 0)
    assert [(finding.rule, finding.level) for finding in report.findings] == [("clamav.encrypted", "warning")]


def test_malware_beside_encrypted_content_is_found(scan: Callable[..., ScanReport]) -> None:
    report = scan(zipped(secret=samples.encrypted_zip(), x=eicar()))
    assert (report.status, report.reason) == ("partial", ENCRYPTED)
    assert {finding.rule for finding in report.findings} == {"clamav.encrypted", "clamav.signature"}


def test_an_unreadable_archive_is_not_covered(scan: Callable[..., ScanReport]) -> None:
    content = zipped(a=CLEAN, b=os.urandom(5000))
    report = scan(content[:-3000], "model.zip")
    assert report.status == "partial"
    assert report.bytes_covered == 0


def test_a_bomb_is_not_given_to_clamd(clamd: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(zipped(a=bytes(3_000_000), x=eicar()))
    limits = Limits(max_ratio=10, free_size=1_000_000)
    report = ClamAVScanner(PrivateBackend(clamd), limits=limits).scan(subject(path))
    assert (report.status, report.bytes_covered, report.findings) == ("partial", 0, ())
    assert "archive.bomb" in report.reason


def test_what_takes_clamd_too_long_is_not_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.scanners.clamd.daemon.MAX_SCAN_TIME_S", 0.01)
    daemon = Daemon(tmp_path, signatures(tmp_path / "signatures"))
    path = tmp_path / "file"
    path.write_bytes(os.urandom(50_000_000))
    try:
        report = ClamAVScanner(PrivateBackend(daemon)).scan(subject(path))
    finally:
        daemon.stop()
    assert (report.status, report.bytes_covered, report.findings) == ("partial", 0, ())
    assert "MaxScanTime" in report.reason


def test_archives_nested_too_deep_are_not_covered(scan: Callable[..., ScanReport]) -> None:
    content = eicar()
    for _ in range(40):
        content = zipped(zipfile.ZIP_STORED, x=content)
    report = scan(content)
    assert (report.status, report.bytes_covered) == ("partial", 0)
    assert "archive.nesting" in report.reason


def test_of_very_many_findings_some_are_listed(scan: Callable[..., ScanReport]) -> None:
    report = scan(zipped(**{f"x{number}": eicar() + str(number).encode() for number in range(MAX_FINDINGS + 50)}))
    assert len(report.findings) == MAX_FINDINGS + 1
    assert report.findings[0].rule == "clamav.more"


@pytest.mark.parametrize("size", [10, None], ids=["cut", "gone"])
def test_a_blob_that_is_not_whole_is_a_failure(clamd: Daemon, tmp_path: Path, size: int | None) -> None:
    path = tmp_path / "file"
    path.write_bytes(CLEAN)
    wanted = subject(path)
    path.unlink()
    if size:
        path.write_bytes(CLEAN[:size])
    report = ClamAVScanner(PrivateBackend(clamd)).scan(wanted)
    assert (report.status, report.bytes_covered) == ("failed", 0)
    assert not report.reusable


def test_threads_scan_side_by_side(clamd: Daemon, tmp_path: Path) -> None:
    scanner = ClamAVScanner(PrivateBackend(clamd))
    wanted = []
    for number in range(24):
        path = tmp_path / str(number)
        path.write_bytes(CLEAN + (eicar() if number % 3 == 0 else b"") + str(number).encode())
        wanted.append(subject(path))
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(scanner.scan, wanted))
    assert [bool(report.findings) for report in reports] == [number % 3 == 0 for number in range(24)]
    assert [report.digest for report in reports] == [one.digest for one in wanted]


def test_eicar_past_2_gib_is_found(clamd: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with open(path, "wb") as file:  # Sparse: it takes no room, and clamd reads it at 150 MB/s.
        file.truncate(2**31 + 5_000_000)
        file.seek(2**31 + 4_000_000)
        file.write(eicar())
    report = ClamAVScanner(PrivateBackend(clamd)).scan(subject(path))
    assert report.reason == WINDOWED
    assert report.bytes_covered == path.stat().st_size
    assert [finding.rule for finding in report.findings] == ["clamav.signature"]


def test_the_engine_is_known_without_starting_it(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, signatures(tmp_path / "signatures"))
    engine = PrivateBackend(daemon).engine()
    assert engine.version[0].isdigit()
    assert daemon.pid is None


def test_other_signatures_are_another_engine(tmp_path: Path) -> None:
    folder = signatures(tmp_path / "signatures")
    before = PrivateBackend(Daemon(tmp_path, folder)).engine()
    (folder / "more.hsb").write_text("0" * 64 + ":5:Other:73\n")
    assert PrivateBackend(Daemon(tmp_path, folder)).engine().rules != before.rules


def test_a_killed_clamd_is_started_again(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, signatures(tmp_path / "signatures"), threads=2)
    scanner = ClamAVScanner(PrivateBackend(daemon))
    path = tmp_path / "file"
    path.write_bytes(eicar())
    try:
        assert scanner.scan(subject(path)).findings
        assert daemon.pid is not None
        os.kill(daemon.pid, signal.SIGKILL)
        assert scanner.scan(subject(path)).findings
    finally:
        daemon.stop()


def test_clamd_dying_in_the_middle_of_a_scan_is_no_clean_result(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, signatures(tmp_path / "signatures"), threads=2)
    scanner = ClamAVScanner(PrivateBackend(daemon))
    path = tmp_path / "file"
    path.write_bytes(os.urandom(150_000_000) + eicar())
    daemon.connection()
    first = daemon.pid
    assert first is not None

    def kill() -> None:
        time.sleep(0.5)
        os.kill(first, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        report = scanner.scan(subject(path))
        killer.join()
        assert daemon.pid != first
        assert [finding.rule for finding in report.findings] == ["clamav.signature"]
    finally:
        daemon.stop()


def test_a_machine_without_signatures_gets_test_only_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.scanners.clamd.database.FOLDERS", ())
    assert dict(PrivateBackend(Daemon(tmp_path)).engine().facts) == {"database": "test-only"}


def test_a_clamd_elsewhere_is_scanned_through(clamd: Daemon, tmp_path: Path) -> None:
    address = clamd.connection().address
    scanner = ClamAVScanner(ForeignBackend(Address.parse(str(address)), limit=100_000))
    path = tmp_path / "file"
    path.write_bytes(b" " * 150_000 + eicar())
    report = scanner.scan(subject(path))
    assert report.reason == WINDOWED
    assert report.findings
    assert dict(report.engine)["database"] == "unknown"


def test_a_clamd_that_dies_every_time_is_no_clean_result(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, signatures(tmp_path / "signatures"))
    path = tmp_path / "file"
    path.write_bytes(os.urandom(60_000_000))
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.2):
            if pid := daemon.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(ScannerUnavailable) as error:
            ClamAVScanner(PrivateBackend(daemon)).scan(subject(path))
        assert error.value.retryable
    finally:
        over.set()
        killer.join()
        daemon.stop()


@pytest.mark.parametrize("size", [100, SMALL_LIMIT - 100, SMALL_LIMIT + 1, 3 * SMALL_LIMIT])
def test_a_clamd_on_tcp_is_scanned_through(small_clamd: tuple[Daemon, Address], tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size - 68) + eicar())
    report = ClamAVScanner(ForeignBackend(small_clamd[1], SMALL_LIMIT), overlap=1000).scan(subject(path))
    assert report.reason == (WINDOWED if size > SMALL_LIMIT else "")
    assert report.bytes_covered == size
    assert [finding.rule for finding in report.findings] == ["clamav.signature"]


def test_a_limit_that_clamd_does_not_have_is_a_failure(small_clamd: tuple[Daemon, Address], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * SMALL_LIMIT))
    report = ClamAVScanner(ForeignBackend(small_clamd[1], 10 * SMALL_LIMIT)).scan(subject(path))
    assert (report.status, report.bytes_covered) == ("failed", 0)
    assert "INSTREAM size limit exceeded" in report.reason


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address(host="127.0.0.1", port=server.getsockname()[1])
    with pytest.raises(ScannerUnavailable, match=r"tcp://127\.0\.0\.1"):
        ClamAVScanner(ForeignBackend(address)).engine()
