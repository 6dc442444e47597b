"""ClamAV's scanner against a real clamd."""

import gzip
import io
import os
import signal
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.clamd import WHOLE_FILE_MALWARE, clamd, eicar, signatures
from weighbridge.clamd.connection import Address, Connection
from weighbridge.clamd.daemon import Daemon
from weighbridge.digest import Digest
from weighbridge.errors import InvalidConfiguration, ScannerUnavailable
from weighbridge.formats import detect_file
from weighbridge.report import WINDOWED, ScanReport
from weighbridge.scanners.clamav import ClamAVScanner, ForeignBackend, PrivateBackend
from weighbridge.scanners.interface import Subject

__all__ = ["clamd"]

CLEAN = b"clean " * 1000


def subject(path: Path) -> Subject:
    size = path.stat().st_size
    digest = Digest.sha256(path.read_bytes()) if size < 2**24 else Digest("sha256", "0" * 64)
    return Subject(digest, path, size, path.name, detect_file(path.name, path))


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_gz(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def encrypted_zip() -> bytes:
    """Return a zip whose one member is flagged as encrypted, in its header and in the directory."""
    content = bytearray(zipped(secret=CLEAN))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


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
        tar_gz("x", eicar()),
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


def test_encrypted_content_is_not_covered(scan: Callable[..., ScanReport]) -> None:
    report = scan(encrypted_zip(), "model.zip")
    assert report.status == "partial"
    assert report.reason != WINDOWED
    assert report.bytes_covered == 0


def test_an_unreadable_archive_is_not_covered(scan: Callable[..., ScanReport]) -> None:
    content = zipped(a=CLEAN, b=os.urandom(5000))
    report = scan(content[:-3000], "model.zip")
    assert report.status == "partial"
    assert report.bytes_covered == 0


def test_eicar_past_2_gib_is_found(clamd: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with open(path, "wb") as file:  # Sparse: two windows of it are read.
        file.truncate(2**31 + 5_000_000)
        file.seek(2**31 + 4_000_000)
        file.write(eicar())
    # Windows of nothing but zeros take clamd long; one large window at the end is what matters here.
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


def test_the_private_clamd_ends_with_its_process(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, signatures(tmp_path / "signatures"))
    daemon.connection()
    pid = daemon.pid
    assert pid is not None
    daemon.stop()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    assert not daemon.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_without_clamd_the_command_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.clamd.daemon.shutil.which", lambda *_args, **_options: None)
    with pytest.raises(ScannerUnavailable, match="apt-get install clamav-daemon"):
        PrivateBackend(Daemon(tmp_path)).engine()


def test_a_machine_without_signatures_gets_test_only_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.clamd.database.FOLDERS", ())
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


def test_streams_are_scanned(clamd: Daemon) -> None:
    connection = clamd.connection()
    assert connection.scan_stream([CLEAN, eicar()]).kind == "found"
    assert connection.scan_stream([CLEAN]).kind == "ok"


@pytest.mark.parametrize("address", ["unix:/nowhere/clamd.sock", "tcp://127.0.0.1:1"])
def test_nobody_there_is_told(address: str, tmp_path: Path) -> None:
    with pytest.raises(ScannerUnavailable) as error:
        ClamAVScanner(ForeignBackend(Address.parse(address))).engine()
    assert error.value.retryable
    assert not Connection(Address.parse(address)).alive()


@pytest.mark.parametrize("text", ["/run/clamd", "tcp://host", "http://host:1", "tcp://host:x"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(InvalidConfiguration):
        Address.parse(text)
