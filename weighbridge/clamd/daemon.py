"""A clamd of our own: started when first needed, limits as high as they go, ended with the process that started it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from functools import cached_property
from pathlib import Path
from threading import Lock

from weighbridge.clamd import database
from weighbridge.clamd.connection import Address, Connection
from weighbridge.clamd.database import Database
from weighbridge.errors import ScannerUnavailable

#: clamd's hard maximum for one file in bytes; it clamps larger settings silently.
MAX_FILE_SIZE = 2_147_483_645
#: Seconds that loading the official signatures may take on a slow machine.
START_TIMEOUT_S = 180.0
_CONFIG = """\
Foreground yes
DatabaseDirectory {signatures}
LocalSocket {folder}/clamd.sock
LocalSocketMode 600
FixStaleSocket yes
LogFile {folder}/clamd.log
PidFile {folder}/clamd.pid
TemporaryDirectory {folder}/tmp
MaxThreads {threads}
MaxQueue {queue}
SelfCheck 0
ReadTimeout 900
CommandReadTimeout 60
MaxFileSize {limit}
MaxScanSize 0
StreamMaxLength {limit}
MaxScanTime 0
MaxFiles 0
MaxRecursion 30
AlertExceedsMax yes
AlertEncrypted yes
"""
#: Ends clamd when its stdin closes, that is when the process that started it is gone, however it went.
_GUARD = 'exec 3<&0; "$1" -c "$2" & pid=$!; (cat <&3 >/dev/null; kill "$pid" 2>/dev/null) & wait "$pid"'


def executable() -> str:
    """Return clamd's path. Raises ScannerUnavailable with the command that installs it."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"))
    found = shutil.which("clamd", path=path)
    if not found:
        raise ScannerUnavailable(
            "ClamAV's daemon clamd is not installed.",
            "Debian: sudo apt-get install clamav-daemon; macOS: brew install clamav.",
        )
    return found


class Daemon:
    """A private clamd. Safe for threads; every process has its own.

    Args:
        home: folder for a test-only database where the machine has no signatures.
        signatures: folder of signatures; the machine's usual ones when None.
        threads: scans side by side.
        limit: bytes of the largest file it takes whole; below its hard maximum in tests only.
        extra_configuration: further lines of clamd.conf(5).
    """

    def __init__(
        self,
        home: Path,
        signatures: Path | None = None,
        threads: int | None = None,
        limit: int = MAX_FILE_SIZE,
        extra_configuration: str = "",
    ) -> None:
        self._extra = extra_configuration
        self._home, self._configured = home, signatures
        self._threads, self.limit = threads or os.cpu_count() or 1, limit
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def signatures(self) -> tuple[Path, Database]:
        """Return the folder of the signatures and what they are; writes test-only ones where there are none."""
        folder = database.find(self._configured)
        if folder is not None:
            return folder, database.read(folder)
        folder = self._home / "clamav" / "test-only"
        database.write_test_only(folder)
        found = database.read(folder)
        return folder, Database("test-only", found.fingerprint)

    @cached_property
    def version(self) -> str:
        """The engine's version, such as `1.4.6`, without starting it. Raises ScannerUnavailable."""
        try:
            answer = subprocess.run([executable(), "--version"], capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise ScannerUnavailable(f"clamd cannot be run: {error}.", "Reinstall ClamAV.") from error
        return answer.stdout.split("/")[0].removeprefix("ClamAV ").strip()

    def connection(self) -> Connection:
        """Return a connection to the running daemon, starting it when it is not. Raises ScannerUnavailable."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            assert self._folder is not None
            return Connection(Address(path=str(self._folder / "clamd.sock")))

    def recover(self) -> None:
        """Start the daemon anew unless it answers; of several threads that lost it, one does."""
        with self._lock:
            if self._folder is None or not Connection(Address(path=str(self._folder / "clamd.sock"))).alive():
                self._start()

    @property
    def pid(self) -> int | None:
        """The process id of the running clamd, or None."""
        path = self._folder / "clamd.pid" if self._folder else None
        return int(path.read_text()) if path and path.exists() else None

    def stop(self) -> None:
        """End the daemon and remove its folder."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _start(self) -> None:
        self._end()
        program, (signatures, _) = executable(), self.signatures()
        # A socket's path has at most 104 bytes on macOS, so it lies in the system's temporary folder.
        self._folder = Path(tempfile.mkdtemp(prefix="weighbridge-clamd-"))
        (self._folder / "tmp").mkdir()
        config = self._folder / "clamd.conf"
        config.write_text(
            _CONFIG.format(
                signatures=signatures,
                folder=self._folder,
                threads=self._threads,
                queue=self._threads * 4,
                limit=self.limit,
            )
            + self._extra
        )
        with open(self._folder / "output", "wb") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", program, str(config)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._wait()

    def _wait(self) -> None:
        assert self._folder is not None
        assert self._process is not None
        connection = Connection(Address(path=str(self._folder / "clamd.sock")))
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if connection.alive():
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        words = (self._folder / "output").read_text(errors="replace").strip().splitlines()
        self._end()
        why = words[-1] if words else "it said nothing"
        raise ScannerUnavailable(f"clamd did not start: {why}.", "Run `weighbridge doctor`.")
