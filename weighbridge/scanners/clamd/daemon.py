"""A private clamd: started when first needed, with the highest limits, and ended with the process that started it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from functools import cached_property
from pathlib import Path
from threading import Lock

from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamd import database
from weighbridge.scanners.clamd.connection import Address, Connection
from weighbridge.scanners.clamd.database import SignatureDatabase
from weighbridge.system.processes import PIPE, Child, inherited, printed_by

#: clamd's hard maximum for one file in bytes; it clamps larger settings silently.
MAX_FILE_SIZE = 2_147_483_645
#: Seconds that loading the official signatures may take on a slow machine.
START_TIMEOUT_S = 180.0
_END_TIMEOUT_S = 30.0
#: All that clamd gets of this process's environment: no token and no password.
_INHERITED = ("PATH", "LANG", "TMPDIR")
#: Seconds that clamd may spend on one file. Its largest takes two minutes, but it unpacks to any size, and
#: a bomb of a kind that only clamd opens must not hold a thread for ever. Past it, clamd says so: a `partial` report.
MAX_SCAN_TIME_S = 1800.0
#: Where packages put clamd, which is often not on a user's PATH.
PROGRAM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_CONFIG = """\
Foreground yes
DatabaseDirectory {signatures}
LocalSocket {socket}
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
MaxScanTime {scan_time_ms}
MaxFiles 0
MaxRecursion 30
AlertExceedsMax yes
AlertEncrypted yes
"""
#: Runs clamd until its own stdin closes, that is until the process that started it is gone, however it went. Then clamd
#: is asked to end and, since it would finish its scans first, made to; its folders go last. The file `ended` says that
#: clamd is gone and its process id no longer its own; so does the end of the shell that started it, as an interrupted
#: process removes the folder first.
_GUARD = """\
exec 3<&0 </dev/null
program=$1 folder=$2 socket=$3
"$program" -c "$folder/clamd.conf" 3<&- & pid=$!
ended() { [ -e "$folder/ended" ] || ! kill -0 "$$" 2>/dev/null; }
(
  read -r _ <&3
  ended || kill "$pid"
  for _ in 1 2 3 4 5 6 7 8 9 10; do ended && break; sleep 0.1; done
  ended || kill -9 "$pid"
  until ended || [ ! -d "$folder" ]; do sleep 0.1; done
  rm -rf "$folder" "$socket"
) &
exec 3<&-
wait "$pid"
: >"$folder/ended" || exit
wait
"""
#: Bytes of a unix socket's path that every system takes; macOS takes the least.
_MAX_SOCKET_PATH = 103


def executable() -> str:
    """Return clamd's path. Raises ScannerUnavailable with the command that installs it."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *PROGRAM_FOLDERS))
    found = shutil.which("clamd", path=path)
    if not found:
        raise ScannerUnavailable(
            "ClamAV's daemon clamd is not installed.",
            "Debian: sudo apt-get install clamav-daemon; macOS: brew install clamav.",
        )
    return found


class Daemon:
    """A private clamd, safe for several threads; every process has its own.

    Its socket and unpacked files are in a folder of its own among the temporary files (`TMPDIR`), removed with it.

    Args:
        home: the folder for a test-only database where the machine has no signatures, and for the signatures' digests.
        signatures: the folder of signatures; the machine's usual one when None.
        threads: the number of parallel scans.
        limit: the bytes of the largest file that it scans whole; below its hard maximum only in tests.
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
        self._process: Child | None = None
        self._folder, self._socket = Path(), Path()

    def signatures(self) -> tuple[Path, SignatureDatabase]:
        """Return the folder of the signatures and their description; write test-only ones where there are none.

        Raises:
            ScannerUnavailable: the configured folder has none, or they cannot be read or written.
        """
        folder = database.find(self._configured)
        if folder is None:
            folder = self._home / "clamav" / "test-only"
            try:
                database.write_test_only(folder)
            except OSError as error:
                raise _no_folder(folder, error) from error
        return folder, database.read(folder, self._home / "clamav" / "digests.json")

    @cached_property
    def version(self) -> str:
        """Return the engine's version, such as `1.4.6`, without starting it. Raises ScannerUnavailable."""
        try:
            answer = printed_by([executable(), "--version"], inherited(*_INHERITED))
        except OSError as error:
            raise ScannerUnavailable(f"clamd cannot be run: {error}.", "Reinstall ClamAV.") from error
        return answer.split("/")[0].removeprefix("ClamAV ").strip()

    def connection(self) -> Connection:
        """Return a connection to the daemon, which is started first unless it runs. Raises ScannerUnavailable."""
        with self._lock:
            if not self._running():
                self._start()
            return self._connection()

    def recover(self) -> None:
        """Start the daemon again unless it answers; of several threads that lost it, one does so."""
        with self._lock:
            if not self._running() or not self._connection().alive():
                self._start()

    @property
    def pid(self) -> int | None:
        """Return the process id of the running clamd, or None."""
        path = self._folder / "clamd.pid"
        text = path.read_text().strip() if self._running() and path.exists() else ""
        return int(text) if text else None

    def stop(self) -> None:
        """End the daemon, also in the middle of a scan, and remove its folder."""
        with self._lock:
            self._end()

    def _connection(self) -> Connection:
        return Connection(Address(path=str(self._socket)))

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None and not (self._folder / "ended").exists()

    def _end(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not self._process.ends_within(_END_TIMEOUT_S):
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self) -> None:
        self._end()
        program, (signatures, _) = executable(), self.signatures()
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="weighbridge-clamd-"))
            self._socket = self._folder / "clamd.sock"
            if len(os.fsencode(self._socket)) > _MAX_SOCKET_PATH:
                self._socket = Path(tempfile.mkdtemp(prefix="weighbridge-clamd-", dir="/tmp")) / "clamd.sock"
            (self._folder / "tmp").mkdir()
            settings = _CONFIG.format(
                signatures=signatures,
                folder=self._folder,
                socket=self._socket,
                threads=self._threads,
                queue=self._threads * 4,
                limit=self.limit,
                scan_time_ms=int(MAX_SCAN_TIME_S * 1000),
            )
            (self._folder / "clamd.conf").write_text(settings + self._extra)
        except OSError as error:
            raise _no_folder(Path(tempfile.gettempdir()), error) from error
        with open(self._folder / "output", "wb") as output:
            self._process = Child(
                ["/bin/sh", "-c", _GUARD, "sh", program, str(self._folder), str(self._socket.parent)],
                inherited(*_INHERITED),
                stdin=PIPE,
                stdout=output,
                stderr=output,
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._running():
            if self._connection().alive():
                return
            time.sleep(0.02)
        words = (self._folder / "output").read_text(errors="replace").strip().splitlines()
        self._end()
        why = words[-1] if words else "it said nothing"
        raise ScannerUnavailable(f"clamd did not start: {why}.", "Run `weighbridge doctor`.")


def _no_folder(folder: Path, error: OSError) -> ScannerUnavailable:
    return ScannerUnavailable(
        f"The scanner cannot write to {folder}: {error.strerror}.",
        "Free some space there, or set TMPDIR to another folder.",
    )
