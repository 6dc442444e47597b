"""ClamAV through clamd: every byte of a blob, whole where clamd takes it whole, in overlapping windows where not.

clamd answers OK to what it did not read: files above its limits, members above them, and whatever it cannot unpack (in
1.4: LZMA in zip, Deflate, Brotli and PPMd in 7z, zstd, a second bzip2 stream). So an archive's members are unpacked
here and shown to clamd one by one beside the archive itself; of those that it unpacks too, it remembers that they were
clean, so they cost little more than their hash. Its heuristics are read as "not covered", never as clean.
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

#: Bytes that two neighbouring windows share: longer than any signature of ClamAV's that is no whole-file digest.
OVERLAP = 1024 * 1024
#: Bytes of a window for a clamd of our own; smaller ones cost more overlap, larger ones more memory in clamd.
WINDOW_SIZE = 256 * 1024 * 1024
#: Bytes that a clamd elsewhere is trusted to take whole: Debian's and ClamAV's defaults are 25 MiB and more.
FOREIGN_LIMIT = 25 * 1024 * 1024
#: Of how blobs are shown to clamd; part of the rules, so that blobs are scanned again when it changes.
VERSION = "3"
#: Findings kept of one blob; the rest is counted in one more.
MAX_FINDINGS = 200
_READ_SIZE = 1024 * 1024
_LIMITS_EXCEEDED = "Heuristics.Limits.Exceeded"
_TOO_LARGE = f"clamd's limits: {_LIMITS_EXCEEDED}.MaxFileSize"
_ENCRYPTED = "Heuristics.Encrypted"
#: The reason of a `partial` report of encrypted content.
ENCRYPTED = "encrypted"
#: Formats of which clamd unpacks nothing: numbers, whose bytes it compares as they are.
_NUMBERS = (WEIGHTS_FORMATS | {"empty"}) - set(ARCHIVES)
#: The reason of a `partial` report of what clamd had no room to unpack.
NO_ROOM = "clamd has no room to unpack it: make space for its temporary files (TemporaryDirectory, TMPDIR)"
#: What the walk gives up, and clamd, whose limits are higher, would unpack for long.
_BOMBS = {"archive.bomb", "archive.nesting"}
T = TypeVar("T")


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner with the clamd that the settings name, or one of our own that ends with the stack."""
    if settings.clamd:
        return ClamAVScanner(ForeignBackend(Address.parse(settings.clamd), settings.clamd_limit))
    daemon = Daemon(settings.folder, settings.clamav_database, settings.slots)
    stack.callback(daemon.stop)
    return ClamAVScanner(PrivateBackend(daemon))


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
    bomb: bool = False


class ClamAVScanner:
    """Scans every blob with ClamAV; satisfies `Scanner`. Threads may scan side by side, each on a connection.

    Args:
        backend: where scans are done.
        window_size: bytes of a window.
        overlap: bytes that two windows share.
        limits: what an archive may cost while its members are unpacked.
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
        self._room = Room(lambda chunks: self._retry(lambda: backend.connection().scan_stream(chunks)), backend.limit)
        self._window = min(window_size, backend.limit)
        self._overlap = min(overlap, self._window // 2)

    def engine(self) -> Engine:
        """Return the engine's version, what it scans with and how, and its signatures' kind and date."""
        engine = self._backend.engine()
        self._engine = replace(engine, rules=f"{engine.rules}/{VERSION}")
        return self._engine

    def accepts(self, subject: Subject) -> bool:
        """Take everything."""
        return True

    def scan(self, subject: Subject) -> ScanReport:
        """Scan one blob.

        1. An archive's members, in archives within it too, are unpacked and scanned one by one.
        2. The blob is scanned as it is, unless it is a bomb, which clamd would unpack without end.
        3. What clamd takes whole is scanned whole; anything larger in overlapping windows, `partial: windowed`.
        4. That clamd leaves out of an archive what is above its limit is no gap when step 1 read all of it: `windowed`.
        5. What clamd could not unpack for want of space was not seen: that it has room is proven before and after.
        6. Encrypted, oversized or unreadable content makes the report `partial` with that reason, and not covered.

        Raises:
            ScannerUnavailable: clamd died twice, or is not there.
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
        """Scan, and believe only what clamd had room to unpack, whatever it says; a find is believed in any case."""
        ours = subject.format in ARCHIVES or zip_at_end(subject.path)  # `_members` unpacks it, whatever clamd does.
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
        """Scan the blob as it is: whole, or in windows that are read again should clamd go away."""
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
        """Ask again once when clamd went away; a private one is started anew by then."""
        try:
            return ask()
        except ScannerUnavailable:
            self._backend.recover()
            return ask()

    def _members(self, subject: Subject, kind: str) -> _Seen:
        """Scan an archive's members one by one, as the walk unpacks them; of archives within it, their members."""
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
        """Scan a member: up to the limit at once; its length is not known before, so any rest follows in windows."""
        seen = _Seen()
        for number, window in enumerate(_Windows(member.chunks(), self._backend.limit, self._overlap)):
            judged = _judge(self._backend.connection().scan_stream(window), member.location)
            seen = _join(seen, judged if number == 0 else _join(judged, _Seen("partial", WINDOWED)))
            if judged.status != "completed":
                break
        return seen


class _Windows:
    """A stream cut into windows that overlap, each to be read before the next; only the overlap is held in memory."""

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
    """Read clamd's answer: what it did not look at is partial, whatever else it says."""
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
    """Return the worse of two with the findings of both, errors first when they are too many."""
    order = ["completed", "partial", "failed"]

    def rank(seen: _Seen) -> tuple[int, bool, bool]:
        return order.index(seen.status), seen.reason != WINDOWED, seen.reason == ENCRYPTED

    worse = max((one, other), key=rank)
    findings = one.findings + other.findings
    if len(findings) > MAX_FINDINGS + 1:
        findings = tuple(sorted(findings, key=lambda finding: finding.level != "error")[: MAX_FINDINGS + 1])
    return _Seen(worse.status, worse.reason, findings, one.bomb or other.bomb)


def _listed(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return each finding once, without those of the whole blob that a member's says more exactly, and not too many."""
    located = {finding.message for finding in findings if finding.location}
    found = dict.fromkeys(finding for finding in findings if finding.location or finding.message not in located)
    if len(found) <= MAX_FINDINGS:
        return tuple(found)
    return (*list(found)[:MAX_FINDINGS], Finding("clamav.more", "warning", "More findings are not listed."))


def _read(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(_READ_SIZE, size))):
        size -= len(chunk)
        yield chunk
