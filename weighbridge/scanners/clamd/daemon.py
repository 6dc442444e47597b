"""A private clamd: started when first needed, with the highest limits, and ended with the process that started it."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from threading import Lock

from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamd import database, snapshots
from weighbridge.scanners.clamd.connection import Address, Connection
from weighbridge.scanners.clamd.snapshots import Snapshot
from weighbridge.system import whole_files
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
DatabaseDirectory {folder}/database
LocalSocket {socket}
LocalSocketMode 600
FixStaleSocket yes
LogFile {folder}/clamd.log
PidFile {folder}/clamd.pid
TemporaryDirectory {folder}/tmp
MaxThreads {threads}
MaxQueue {queue}
SelfCheck 0
ConcurrentDatabaseReload yes
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
#: The file with the signature by which a clamd is asked which signatures it has loaded.
_MARKER_FILE = "weighbridge-loaded.ndb"
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


@lru_cache(maxsize=4)
def _version(program: str, changed_ns: int) -> str:
    """Return the version of a program, which is asked again when the file has changed."""
    return printed_by([program, "--version"], inherited(*_INHERITED)).split("/")[0].removeprefix("ClamAV ").strip()


def _marker_name(chosen: Snapshot) -> str:
    return f"Weighbridge.Loaded.{chosen.database.fingerprint}"


class Daemon:
    """A private clamd, safe for several threads; every process has its own.

    Its socket and unpacked files are in a folder of its own among the temporary files (`TMPDIR`), removed with it.

    Args:
        home: the folder for a test-only database where the machine has no signatures, and for the signatures' digests.
        signatures: the folder of signatures; the machine's usual one when None.
        threads: the number of parallel scans.
        limit: the bytes of the largest file that it scans whole; below its hard maximum only in tests.
        extra_configuration: further lines of clamd.conf(5).
        chosen: the signatures that it loads, which stay as they are; those of `signatures` when None.
    """

    def __init__(
        self,
        home: Path,
        signatures: Path | None = None,
        threads: int | None = None,
        limit: int = MAX_FILE_SIZE,
        extra_configuration: str = "",
        chosen: Snapshot | None = None,
    ) -> None:
        self._extra = extra_configuration
        self._home, self._configured = home, signatures
        self._threads, self.limit = threads or os.cpu_count() or 1, limit
        self._lock, self._choosing = Lock(), Lock()
        self._chosen = chosen
        self._marker, self._loads = b"", 0
        self._process: Child | None = None
        self._folder, self._socket = Path(), Path()

    def signatures(self) -> Snapshot:
        """Return the signatures that it loads: those of the first call, also where the machine has others by now.

        Raises:
            ScannerUnavailable: the configured folder has none, or they cannot be read or written.
        """
        with self._choosing:
            if self._chosen is None:
                self._chosen = snapshots.chosen(self._home, self._configured)
            return self._chosen

    @property
    def version(self) -> str:
        """Return the engine's version, such as `1.4.6`, without starting it. Raises ScannerUnavailable."""
        program = executable()
        try:
            return _version(program, os.stat(program).st_mtime_ns)
        except OSError as error:
            raise ScannerUnavailable(f"clamd cannot be run: {error}.", "Reinstall ClamAV.") from error

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

    def take_over(self, other: Daemon) -> None:
        """Use the running process of a daemon that is idle, and make it load this one's signatures.

        clamd keeps its signatures until it has loaded the new ones. What it then has is asked, as it does not say
        whether it could load them; otherwise it stays the other's, with the signatures of before.

        Raises:
            ScannerUnavailable: it could not load them.
        """
        chosen = self.signatures()
        with self._lock, other._lock:
            if not other._running():
                return
            other._reload(chosen)
            self._folder, self._socket, self._process = other._folder, other._socket, other._process
            self._marker, self._loads = other._marker, other._loads
            other._process = None

    @property
    def runs(self) -> bool:
        """Return whether its clamd runs."""
        with self._lock:
            return self._running()

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
        program, chosen = executable(), self.signatures()
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="weighbridge-clamd-"))
            self._socket = self._folder / "clamd.sock"
            if len(os.fsencode(self._socket)) > _MAX_SOCKET_PATH:
                self._socket = Path(tempfile.mkdtemp(prefix="weighbridge-clamd-", dir="/tmp")) / "clamd.sock"
            (self._folder / "tmp").mkdir()
            settings = _CONFIG.format(
                folder=self._folder,
                socket=self._socket,
                threads=self._threads,
                queue=self._threads * 4,
                limit=self.limit,
                scan_time_ms=int(MAX_SCAN_TIME_S * 1000),
            )
            (self._folder / "clamd.conf").write_text(settings + self._extra)
            self._link(chosen)
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
        self._wait(chosen)

    def _link(self, chosen: Snapshot) -> None:
        """Make clamd's folder of signatures lead to others, and to one more, by which it is known what it has."""
        self._loads += 1
        loaded = self._folder / f"database-{self._loads}"
        loaded.mkdir()
        for path in database.files(chosen.folder):
            (loaded / path.name).symlink_to(path.absolute())
        marker = secrets.token_hex(32).encode()
        (loaded / _MARKER_FILE).write_text(f"{_marker_name(chosen)}:0:*:{marker.hex()}\n")
        whole_files.replace_link(self._folder / "database", loaded.name, self._folder / "database-next")
        self._marker = marker

    def _has(self, chosen: Snapshot) -> bool:
        """Return whether clamd recognises content that only the signature beside these signatures describes."""
        return self._connection().scan_stream([self._marker]).text.startswith(_marker_name(chosen))

    def _reload(self, chosen: Snapshot) -> None:
        """Load other signatures; on failure, have those of before again."""
        before, log = self.signatures(), self._folder / "clamd.log"
        former, marker, size = os.readlink(self._folder / "database"), self._marker, log.stat().st_size
        try:
            self._link(chosen)
            self._connection().reload()
            why = self._reloaded(chosen, log, size)
        except OSError as error:
            why = str(error.strerror)
        except ScannerUnavailable as error:
            why = error.problem
        if not why:
            shutil.rmtree(self._folder / former, ignore_errors=True)
            return
        whole_files.replace_link(self._folder / "database", former, self._folder / "database-next")
        self._marker = marker
        if not self._running() or not self._connection().alive() or not self._has(before):
            self._start()
        raise ScannerUnavailable(
            f"clamd did not load the signatures {chosen.database.title}: {why}.",
            f"It goes on with those of before: {before.database.title}.",
        )

    def _reloaded(self, chosen: Snapshot, log: Path, size: int) -> str:
        """Wait until clamd has loaded signatures, and return why it has not, or empty."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self._running():
                return "it ended"
            if self._has(chosen):
                return ""
            with open(log, "rb") as file:
                file.seek(size)
                text = file.read().decode(errors="replace")
            if "keeping the previous instance" in text:
                return next((line for line in text.splitlines() if "ERROR: " in line), text).partition("ERROR: ")[2]
            time.sleep(0.05)
        return f"it took longer than {START_TIMEOUT_S:.0f} seconds"

    def _wait(self, chosen: Snapshot) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._running():
            if self._connection().alive():
                if self._has(chosen):
                    return
                break
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
