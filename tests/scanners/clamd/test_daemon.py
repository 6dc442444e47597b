"""The private clamd: started, found dead, ended, and what is told when it cannot start."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.clamd import eicar, signatures
from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamd import daemon as module
from weighbridge.scanners.clamd.daemon import Daemon

#: Starts a daemon, keeps it busy for longer than anybody waits, and says its process id and folder.
_OWNER = """
import sys, threading, time
from pathlib import Path
from weighbridge.scanners.clamd.daemon import Daemon
daemon = Daemon(Path(sys.argv[1]), Path(sys.argv[1]) / "signatures", extra_configuration="DisableCache yes\\n")
connection = daemon.connection()
def keep_busy():
    with open(sys.argv[1] + "/large", "rb") as file:
        connection.scan_descriptor(file.fileno())
threading.Thread(target=keep_busy, daemon=True).start()
time.sleep(0.3)
print(daemon.pid, Path(connection.address.path).parent, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    found = Daemon(tmp_path, signatures(tmp_path / "signatures"), threads=2)
    yield found
    found.stop()


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_ends_when_it_is_stopped(daemon: Daemon) -> None:
    folder = Path(daemon.connection().address.path).parent
    pid = daemon.pid
    assert pid is not None
    daemon.stop()
    assert daemon.pid is None
    assert not running(pid)
    assert not folder.exists()


def test_nothing_of_it_stays_where_its_folder_goes_first(daemon: Daemon) -> None:
    """An interrupted process removes its temporary files before its end is noticed."""
    folder = Path(daemon.connection().address.path).parent
    process = daemon._process
    assert process is not None
    assert process.stdin is not None
    shutil.rmtree(folder)
    process.stdin.close()
    process.wait(30)

    def gone() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    assert soon(gone)
    assert not folder.exists()


def test_it_is_stopped_before_it_was_started(daemon: Daemon) -> None:
    daemon.stop()
    assert daemon.pid is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_process_however_that_ends(tmp_path: Path, how: signal.Signals) -> None:
    signatures(tmp_path / "signatures")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**31 - 10)
    command = [sys.executable, "-c", _OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        assert running(int(pid))
        owner.send_signal(how)
    assert soon(lambda: not Path(folder).exists())
    assert not running(int(pid))


def test_a_dead_one_is_started_again(daemon: Daemon) -> None:
    daemon.connection()
    first = daemon.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    daemon.recover()
    assert daemon.pid not in (None, first)
    assert daemon.connection().scan_stream([eicar()]).kind == "found"


def test_a_living_one_is_left_alone(daemon: Daemon) -> None:
    daemon.connection()
    first = daemon.pid
    daemon.recover()
    assert daemon.pid == first


def test_two_processes_have_their_own(daemon: Daemon, tmp_path: Path) -> None:
    other = Daemon(tmp_path, tmp_path / "signatures")
    try:
        assert other.connection().address != daemon.connection().address
    finally:
        other.stop()
    assert daemon.connection().alive()


def test_a_long_path_of_temporary_files_is_no_hindrance(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    address = daemon.connection().address
    assert len(address.path) < 104
    daemon.stop()
    assert not Path(address.path).parent.exists()
    assert not list(long.iterdir())


def test_without_clamd_the_command_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "PROGRAM_FOLDERS", ())
    with pytest.raises(ScannerUnavailable, match=r"apt-get install clamav-daemon.*brew install clamav") as error:
        Daemon(tmp_path).connection()
    assert error.value.retryable


def test_broken_signatures_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "signatures"
    folder.mkdir()
    (folder / "broken.ndb").write_text("this is no signature\n")
    broken = Daemon(tmp_path, folder)
    with pytest.raises(ScannerUnavailable, match="clamd did not start"):
        broken.connection()
    assert broken.pid is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.scanners.clamd.database.FOLDERS", ())
    (tmp_path / "clamav").write_text("a file where a folder should be")
    with pytest.raises(ScannerUnavailable, match="cannot write"):
        Daemon(tmp_path).connection()
