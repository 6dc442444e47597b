"""ClamAV through clamd: every byte of a blob, whole where clamd takes it whole, in overlapping windows where not.

clamd answers OK to what it did not read (files above its limits, members of archives above them, encrypted members), so
sizes are measured here and its heuristics are read as "not covered", never as clean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from weighbridge.archives import ARCHIVES, Limits, walk
from weighbridge.clamd import database
from weighbridge.clamd.connection import Address, Connection, Reply
from weighbridge.clamd.daemon import Daemon
from weighbridge.errors import ScannerUnavailable
from weighbridge.report import WINDOWED, Finding, ScanReport, Status
from weighbridge.scanners.interface import Engine, Subject, report

#: Bytes that two neighbouring windows share: longer than any signature of ClamAV's that is no whole-file digest.
OVERLAP = 1024 * 1024
#: Bytes of a window for a clamd of our own; smaller ones cost more overlap, larger ones more memory in clamd.
WINDOW_SIZE = 256 * 1024 * 1024
#: Bytes that a clamd elsewhere is trusted to take whole: Debian's and ClamAV's defaults are 25 MiB and more.
FOREIGN_LIMIT = 25 * 1024 * 1024
#: Bytes of a window of an archive's member, which is held in memory.
HELD_WINDOW_SIZE = 64 * 1024 * 1024
_READ_SIZE = 1024 * 1024
_LIMITS_EXCEEDED = "Heuristics.Limits.Exceeded"
_ENCRYPTED = "Heuristics.Encrypted"
#: Opens a window's bytes; again after clamd went away.
Window = Callable[[], Iterator[bytes]]


class Backend(Protocol):
    """Where scans are done: a clamd of our own or one elsewhere."""

    limit: int

    def connection(self) -> Connection:
        """Return a connection. Raises ScannerUnavailable."""
        ...

    def recover(self) -> None:
        """Do what can be done after a connection was lost. Raises ScannerUnavailable."""
        ...

    def engine(self) -> Engine:
        """Return what it scans with. Raises ScannerUnavailable."""
        ...


class PrivateBackend:
    """A clamd of our own, started when the first blob comes."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon, self.limit = daemon, daemon.limit

    def connection(self) -> Connection:
        """Return a connection to the running daemon, starting it when it is not."""
        return self._daemon.connection()

    def recover(self) -> None:
        """Start the daemon anew when it died."""
        self._daemon.recover()

    def engine(self) -> Engine:
        """Return version and signatures, without starting the daemon."""
        _, signatures = self._daemon.signatures()
        return Engine(self._daemon.version, f"{signatures.fingerprint[:16]}/{self.limit}", signatures.facts)


class ForeignBackend:
    """A clamd that somebody else runs, whose limits nobody tells."""

    def __init__(self, address: Address, limit: int = FOREIGN_LIMIT) -> None:
        self._connection, self.limit = Connection(address), limit

    def connection(self) -> Connection:
        """Return a connection."""
        return self._connection

    def recover(self) -> None:
        """Do nothing: whoever runs it restarts it."""

    def engine(self) -> Engine:
        """Return what it says of itself."""
        said = self._connection.version()
        signatures = database.from_version(said)
        version = said.split("/")[0].removeprefix("ClamAV ").strip()
        return Engine(version, f"{signatures.fingerprint[:16]}/{self.limit}", signatures.facts)


@dataclass(frozen=True)
class _Seen:
    """What a scan of some bytes came to."""

    status: Status = "completed"
    reason: str = ""
    findings: tuple[Finding, ...] = ()


class ClamAVScanner:
    """Scans every blob with ClamAV; satisfies `Scanner`. Threads may scan side by side, each on a connection.

    Args:
        backend: where scans are done.
        window_size: bytes of a window.
        overlap: bytes that two windows share.
        limits: what an archive may cost while its members are measured.
    """

    name: ClassVar[str] = "clamav"

    def __init__(
        self,
        backend: Backend,
        *,
        window_size: int = WINDOW_SIZE,
        overlap: int = OVERLAP,
        limits: Limits | None = None,
    ) -> None:
        self._backend, self._limits = backend, limits
        self._engine: Engine | None = None  # Asked once a run: what clamd loaded does not change while it runs.
        self._window = min(window_size, backend.limit)
        self._overlap = min(overlap, self._window // 2)

    def engine(self) -> Engine:
        """Return the engine's version and its signatures' fingerprint, kind and date."""
        self._engine = self._backend.engine()
        return self._engine

    def accepts(self, subject: Subject) -> bool:
        """Take everything."""
        return True

    def scan(self, subject: Subject) -> ScanReport:
        """Scan one blob.

        1. A blob that clamd takes whole is scanned whole; a larger one in overlapping windows, `partial: windowed`.
        2. An archive's members are measured; one that clamd would leave out is scanned in windows itself.
        3. Encrypted, oversized or unreadable content makes the report `partial` with that reason, and not covered.

        Raises:
            ScannerUnavailable: clamd died twice, or is not there.
        """
        engine = self._engine or self.engine()
        if subject.size <= self._backend.limit:
            seen = self._judge(self._retry(lambda: self._whole(subject)))
        else:
            seen = self._windows(_file_windows(subject.path, subject.size, self._window, self._overlap))
        if subject.format in ARCHIVES and seen.status != "failed":
            seen = _join(seen, self._members(subject))
        whole = seen.status == "completed" or seen.reason == WINDOWED
        return report(
            self.name,
            engine,
            subject,
            status=seen.status,
            reason=seen.reason,
            covered=subject.size if whole else 0,
            findings=seen.findings,
        )

    def _whole(self, subject: Subject) -> Reply:
        connection = self._backend.connection()
        with open(subject.path, "rb") as file:
            if connection.address.path:
                return connection.scan_descriptor(file.fileno())
            return connection.scan_stream(iter(lambda: file.read(_READ_SIZE), b""))

    def _retry(self, ask: Callable[[], Reply]) -> Reply:
        """Ask again once when clamd went away; a private one is started anew by then."""
        try:
            return ask()
        except ScannerUnavailable:
            self._backend.recover()
            return ask()

    def _stream(self, window: Window) -> Reply:
        return self._backend.connection().scan_stream(window())

    def _windows(self, windows: Iterator[Window], location: str = "") -> _Seen:
        """Scan windows one after the other; the first that is not read ends it."""
        seen = _Seen("partial", WINDOWED)
        for window in windows:
            judged = self._judge(self._retry(partial(self._stream, window)), location)
            seen = _join(seen, judged)
            if judged.status != "completed":
                break
        return seen

    def _members(self, subject: Subject) -> _Seen:
        """Measure an archive's members; scan those that clamd leaves out in windows, on a second walk."""
        measured = walk(subject.path, self._limits)
        members = list(measured)
        large = {member.location for member in members if member.size > self._backend.limit}
        seen = _Seen("partial", measured.unread) if measured.unread else _Seen()
        if large:
            for member in walk(subject.path, self._limits):
                if member.location in large:
                    windows = _held_windows(member.chunks(), min(self._window, HELD_WINDOW_SIZE), self._overlap)
                    seen = _join(seen, self._windows(windows, member.location))
        return seen

    def _judge(self, reply: Reply, location: str = "") -> _Seen:
        """Read clamd's answer: what it did not look at is partial, whatever else it says."""
        if reply.kind == "ok":
            return _Seen()
        if reply.kind == "error":
            return _Seen("failed", f"clamd: {reply.text}")
        if reply.text.startswith(_LIMITS_EXCEEDED):
            return _Seen("partial", f"clamd's limits: {reply.text}")
        if reply.text.startswith(_ENCRYPTED):
            finding = Finding("clamav.encrypted", "warning", "Its content is encrypted.", location)
            return _Seen("partial", "encrypted", (finding,))
        finding = Finding("clamav.signature", "error", f"ClamAV recognises {reply.text}.", location)
        return _Seen("completed", "", (finding,))


def _join(one: _Seen, other: _Seen) -> _Seen:
    """Return the worse of two, with the findings of both."""
    order = ["completed", "partial", "failed"]
    findings = tuple(dict.fromkeys(one.findings + other.findings))

    def rank(seen: _Seen) -> tuple[int, bool]:
        return order.index(seen.status), seen.reason != WINDOWED

    worse = max((one, other), key=rank)
    return _Seen(worse.status, worse.reason, findings)


def _file_windows(path: Path, size: int, window: int, overlap: int) -> Iterator[Window]:
    """Yield the windows of a file, each to be read from the file itself."""
    start = 0
    while True:
        yield partial(_slice, path, start, min(window, size - start))
        if start + window >= size:
            return
        start += window - overlap


def _slice(path: Path, start: int, size: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.seek(start)
        while size > 0 and (chunk := file.read(min(_READ_SIZE, size))):
            size -= len(chunk)
            yield chunk


def _held_windows(chunks: Iterator[bytes], window: int, overlap: int) -> Iterator[Window]:
    """Yield the windows of a stream, each held in memory, since a stream cannot be read again."""
    held = bytearray()
    fresh = False
    for chunk in chunks:
        held += chunk
        fresh = True
        while len(held) >= window:
            yield partial(iter, (bytes(held[:window]),))
            del held[: window - overlap]
            fresh = len(held) > overlap
    if fresh or not held:
        yield partial(iter, (bytes(held),))
