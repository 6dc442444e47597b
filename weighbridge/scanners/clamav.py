"""ClamAV through clamd: every byte of a blob, whole where clamd accepts it whole, else in overlapping windows.

clamd answers OK for content that it did not read: files and members above its limits, and formats that it cannot unpack
(in 1.4: LZMA in zip, Deflate, Brotli and PPMd in 7z, zstd, a second bzip2 stream). So an archive's members are unpacked
here and sent to clamd one by one besides the archive itself; clamd caches clean members that it also unpacks itself, so
they cost little more than their hash. Its heuristics count as "not covered", never as clean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, ClassVar, Protocol, TypeVar

from weighbridge.config.settings import Settings
from weighbridge.content.archives import ARCHIVES, Limits, Member, walk, zip_at_end
from weighbridge.domain.format_names import WEIGHTS_FORMATS
from weighbridge.domain.report import WINDOWED, Finding, ScanReport, Status
from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamd import database
from weighbridge.scanners.clamd.connection import Address, Connection, ScanReply
from weighbridge.scanners.clamd.daemon import Daemon
from weighbridge.scanners.clamd.room import Room
from weighbridge.scanners.interface import Engine, Scanner, Subject, report

#: The overlap of two windows in bytes: longer than any signature of ClamAV that is not a whole-file digest.
OVERLAP = 1024 * 1024
#: The bytes of a window for a private clamd; smaller ones cost more overlap, larger ones more memory in clamd.
WINDOW_SIZE = 256 * 1024 * 1024
#: The bytes that a foreign clamd is trusted to scan whole: Debian's and ClamAV's defaults are 25 MiB and more.
FOREIGN_LIMIT = 25 * 1024 * 1024
#: The version of the way blobs are sent to clamd; part of the rules, so that a change scans blobs again.
VERSION = "3"
#: The most findings of one blob; one more counts the rest.
MAX_FINDINGS = 200
_READ_SIZE = 1024 * 1024
_LIMITS_EXCEEDED = "Heuristics.Limits.Exceeded"
_TOO_LARGE = f"clamd's limits: {_LIMITS_EXCEEDED}.MaxFileSize"
_ENCRYPTED = "Heuristics.Encrypted"
#: The reason of a `partial` report of encrypted content.
ENCRYPTED = "encrypted"
#: Formats that clamd does not unpack: numbers, whose bytes it compares directly.
_NUMBERS = (WEIGHTS_FORMATS | {"empty"}) - set(ARCHIVES)
#: The reason of a `partial` report of content that clamd had no space to unpack.
NO_ROOM = "clamd has no room to unpack it: make space for its temporary files (TemporaryDirectory, TMPDIR)"
#: Findings at which the walk stops, while clamd, whose limits are higher, would unpack for long.
_BOMBS = {"archive.bomb", "archive.nesting"}
T = TypeVar("T")


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner with the clamd of the settings, or a private one that ends with the stack."""
    if settings.clamd:
        return ClamAVScanner(ForeignBackend(Address.parse(settings.clamd), settings.clamd_limit))
    daemon = Daemon(settings.folder, settings.clamav_database, settings.slots)
    stack.callback(daemon.stop)
    return ClamAVScanner(PrivateBackend(daemon))


class Backend(Protocol):
    """The clamd that scans: a private or a foreign one."""

    limit: int

    def connection(self) -> Connection:
        """Return a connection. Raises ScannerUnavailable."""
        ...

    def recover(self) -> None:
        """Recover after a lost connection, if possible. Raises ScannerUnavailable."""
        ...

    def engine(self) -> Engine:
        """Return the engine. Raises ScannerUnavailable."""
        ...


class PrivateBackend:
    """A private clamd, started for the first blob."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon, self.limit = daemon, daemon.limit

    def connection(self) -> Connection:
        """Return a connection to the daemon, which is started first unless it runs."""
        return self._daemon.connection()

    def recover(self) -> None:
        """Start the daemon again if it died."""
        self._daemon.recover()

    def engine(self) -> Engine:
        """Return version and signatures, without starting the daemon."""
        _, signatures = self._daemon.signatures()
        return Engine(self._daemon.version, f"{signatures.fingerprint[:16]}/{self.limit}", signatures.facts)


class ForeignBackend:
    """A foreign clamd, whose limits are unknown."""

    def __init__(self, address: Address, limit: int = FOREIGN_LIMIT) -> None:
        self._connection, self.limit = Connection(address), limit

    def connection(self) -> Connection:
        """Return a connection."""
        return self._connection

    def recover(self) -> None:
        """Do nothing: its operator restarts it."""

    def engine(self) -> Engine:
        """Return the engine that it reports."""
        said = self._connection.version()
        signatures = database.from_version(said)
        version = said.split("/")[0].removeprefix("ClamAV ").strip()
        return Engine(version, f"{signatures.fingerprint[:16]}/{self.limit}", signatures.facts)


@dataclass(frozen=True)
class _Seen:
    """The result of a scan of some bytes."""

    status: Status = "completed"
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    bomb: bool = False


class ClamAVScanner:
    """Scans every blob with ClamAV; satisfies `Scanner`. Threads may scan in parallel, each on a connection.

    Args:
        backend: the clamd.
        window_size: the bytes of a window.
        overlap: the bytes that two windows share.
        limits: the limits for unpacking an archive's members.
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
        self._engine: Engine | None = None  # It is read once a run, as the signatures of a running clamd do not change.
        self._room = Room(lambda chunks: self._retry(lambda: backend.connection().scan_stream(chunks)), backend.limit)
        self._window = min(window_size, backend.limit)
        self._overlap = min(overlap, self._window // 2)

    def engine(self) -> Engine:
        """Return the engine's version, its rules, and its signatures' kind and date."""
        engine = self._backend.engine()
        self._engine = replace(engine, rules=f"{engine.rules}/{VERSION}")
        return self._engine

    def accepts(self, subject: Subject) -> bool:
        """Return True: it scans every blob."""
        return True

    def scan(self, subject: Subject) -> ScanReport:
        """Scan one blob.

        1. An archive's members, also of nested archives, are unpacked and scanned one by one.
        2. The blob itself is scanned, unless it is a bomb, which clamd would unpack without end.
        3. A blob within clamd's limit is scanned whole; a larger one in overlapping windows, `partial: windowed`.
        4. A member above clamd's limit is not a gap when step 1 read all of it: `windowed`.
        5. clamd does not see content that it has no space to unpack: its space is tested before and after.
        6. Encrypted, oversized or unreadable content makes the report `partial` with that reason, and not covered.

        Raises:
            ScannerUnavailable: clamd died twice, or cannot be reached.
        """
        engine = self._engine or self.engine()
        try:
            size = subject.path.stat().st_size
            seen = (
                self._with_room(subject)
                if size == subject.size
                else _Seen("failed", f"the blob on disk has {size} bytes")
            )
        except OSError as error:
            seen = _Seen("failed", f"the blob cannot be read: {error.strerror}")
        whole = seen.status == "completed" or seen.reason == WINDOWED
        return report(
            self.name,
            engine,
            subject,
            status=seen.status,
            reason=seen.reason,
            covered=subject.size if whole else 0,
            findings=_listed(seen.findings),
        )

    def _with_room(self, subject: Subject) -> _Seen:
        """Scan, and trust a clean answer only where clamd had space to unpack; a detection is always trusted."""
        ours = subject.format in ARCHIVES or zip_at_end(subject.path)  # `_members` unpacks it, independent of clamd.
        needed = 0 if ours or subject.format in _NUMBERS else min(subject.size, self._backend.limit)
        if subject.format not in _NUMBERS and not self._room.before(needed):
            return _join(self._seen(subject), _Seen("partial", NO_ROOM))
        seen = self._seen(subject)
        return seen if self._room.after(needed) else _join(seen, _Seen("partial", NO_ROOM))

    def _seen(self, subject: Subject) -> _Seen:
        kind = subject.format if subject.format in ARCHIVES else "zip" if zip_at_end(subject.path) else ""
        if not kind:
            return self._blob(subject)
        members = self._retry(lambda: self._members(subject, kind))
        if members.status == "failed" or members.bomb:
            return members
        blob = self._blob(subject)
        if blob.reason == _TOO_LARGE and members.reason in ("", WINDOWED):
            blob = replace(blob, reason=WINDOWED)
        return _join(members, blob)

    def _blob(self, subject: Subject) -> _Seen:
        """Scan the blob itself: whole, or in windows, which are read again if clamd dies."""
        if subject.size <= self._backend.limit:
            return _judge(self._retry(lambda: self._whole(subject)))
        seen = _Seen("partial", WINDOWED)
        for start in range(0, subject.size - self._overlap, self._window - self._overlap):
            judged = _judge(self._retry(partial(self._part, subject.path, start)))
            seen = _join(seen, judged)
            subject.heard(self._window - self._overlap)
            if judged.status != "completed":
                break
        return seen

    def _whole(self, subject: Subject) -> ScanReply:
        connection = self._backend.connection()
        with open(subject.path, "rb") as file:
            if connection.address.path:
                return connection.scan_descriptor(file.fileno())
            return connection.scan_stream(_read(file, subject.size))

    def _part(self, path: Path, start: int) -> ScanReply:
        with open(path, "rb") as file:
            file.seek(start)
            return self._backend.connection().scan_stream(_read(file, self._window))

    def _retry(self, ask: Callable[[], T]) -> T:
        """Repeat a scan once after clamd died; a private one is restarted first."""
        try:
            return ask()
        except ScannerUnavailable:
            self._backend.recover()
            return ask()

    def _members(self, subject: Subject, kind: str) -> _Seen:
        """Scan an archive's members one by one, as the walk unpacks them, also those of nested archives."""
        walked = walk(subject.path, self._limits, kind)
        seen, largest = _Seen(), 0
        for member in walked:
            if member.format not in ARCHIVES:
                seen = _join(seen, self._member(member))
                if member.format not in _NUMBERS:
                    largest = max(largest, member.size)
            elif member.size > self._backend.limit:
                seen = _join(seen, _Seen("partial", WINDOWED))
            if seen.status == "failed":
                return seen
        if not self._room.after(min(largest, self._backend.limit)):
            seen = _join(seen, _Seen("partial", NO_ROOM))
        for problem in walked.problems:
            if problem.unread:
                reason = f"{problem.rule}: {problem.message}"
                seen = _join(seen, _Seen("partial", reason, bomb=problem.rule in _BOMBS))
            if problem.rule == "archive.encrypted":
                seen = _join(seen, _encrypted(problem.location))
        return seen

    def _member(self, member: Member) -> _Seen:
        """Scan a member: up to the limit at once, and the rest in windows, as its length is not known before."""
        seen = _Seen()
        for number, window in enumerate(_Windows(member.chunks(), self._backend.limit, self._overlap)):
            judged = _judge(self._backend.connection().scan_stream(window), member.location)
            seen = _join(seen, judged if number == 0 else _join(judged, _Seen("partial", WINDOWED)))
            if judged.status != "completed":
                break
        return seen


class _Windows:
    """A stream in overlapping windows, each read before the next; only the overlap is in memory."""

    def __init__(self, chunks: Iterator[bytes], size: int, overlap: int) -> None:
        self._chunks, self._size, self._overlap = chunks, size, overlap
        self._tail, self._ahead = b"", next(chunks, b"")

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        yield self._window()
        while self._ahead:
            yield self._window()

    def _window(self) -> Iterator[bytes]:
        left = self._size - len(self._tail)
        if self._tail:
            yield self._tail
        while left and self._ahead:
            part, self._ahead = self._ahead[:left], self._ahead[left:]
            self._ahead = self._ahead or next(self._chunks, b"")
            self._tail = (self._tail + part)[-self._overlap :]
            left -= len(part)
            yield part


def _judge(reply: ScanReply, location: str = "") -> _Seen:
    """Return the result in clamd's answer: a file that it did not read whole is partial, with any answer."""
    if reply.kind == "ok":
        return _Seen()
    if reply.kind == "error":
        return _Seen("failed", f"clamd: {reply.text}")
    if reply.text.startswith(_LIMITS_EXCEEDED):
        return _Seen("partial", f"clamd's limits: {reply.text}")
    if reply.text.startswith(_ENCRYPTED):
        return _encrypted(location)
    return _Seen("completed", "", (Finding("clamav.signature", "error", f"ClamAV recognises {reply.text}.", location),))


def _encrypted(location: str) -> _Seen:
    text = "Its content is encrypted, so nobody can say what is in it."
    return _Seen("partial", ENCRYPTED, (Finding("clamav.encrypted", "warning", text, location),))


def _join(one: _Seen, other: _Seen) -> _Seen:
    """Return the worse of two results with the findings of both, errors first when there are too many."""
    order = ["completed", "partial", "failed"]

    def rank(seen: _Seen) -> tuple[int, bool, bool]:
        return order.index(seen.status), seen.reason != WINDOWED, seen.reason == ENCRYPTED

    worse = max((one, other), key=rank)
    findings = one.findings + other.findings
    if len(findings) > MAX_FINDINGS + 1:
        findings = tuple(sorted(findings, key=lambda finding: finding.level != "error")[: MAX_FINDINGS + 1])
    return _Seen(worse.status, worse.reason, findings, one.bomb or other.bomb)


def _listed(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return each finding once, up to the limit, without those of the whole blob that a member's locates."""
    located = {finding.message for finding in findings if finding.location}
    found = dict.fromkeys(finding for finding in findings if finding.location or finding.message not in located)
    if len(found) <= MAX_FINDINGS:
        return tuple(found)
    return (*list(found)[:MAX_FINDINGS], Finding("clamav.more", "warning", "More findings are not listed."))


def _read(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(_READ_SIZE, size))):
        size -= len(chunk)
        yield chunk
