"""Archives walked member by member, nested ones too, with every limit held while bytes stream.

An archive's own data (sizes, names, checksums) are claims: sizes are measured, checksums are computed, names are
checked, and an unreadable part is a `Problem`. Nothing is extracted under a name from the archive.

Not here: how one format is read (zip_reader, tar_reader, sevenzip_reader, compressed_reader).
"""

from __future__ import annotations

import errno
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from weighbridge.content.archives import zip_tail
from weighbridge.content.archives.streams import Readable, TooMuch
from weighbridge.content.detection import HEAD_SIZE, detect, detect_member
from weighbridge.domain.format_names import ARCHIVE_FORMATS
from weighbridge.domain.paths import safe_path
from weighbridge.domain.report import Level
from weighbridge.errors import ScannerUnavailable, UnsafePath

CHUNK_SIZE = 1024 * 1024
#: Formats that are walked, and those that are known but cannot be.
ARCHIVES = ARCHIVE_FORMATS
#: What goes wrong here and not in the archive: no space, no memory of the kernel's, too many open files, a broken disk.
_OURS = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO}


@dataclass(frozen=True)
class Limits:
    """What an archive may cost before it counts as a bomb.

    Attributes:
        max_members: members of all levels together, folders and links too.
        max_size: unpacked bytes of all levels together.
        max_ratio: unpacked bytes to bytes of the outermost file, once more than `free_size` came out.
        free_size: unpacked bytes that any archive may have, with any ratio.
        max_depth: archives within each other.
    """

    max_members: int = 100_000
    max_size: int = 1024**4
    max_ratio: int = 200
    free_size: int = 256 * 1024**2
    max_depth: int = 8


@dataclass(frozen=True)
class Problem:
    """Something wrong with an archive.

    Attributes:
        rule: `archive.…`.
        level: of a finding.
        message: one sentence.
        location: the member, `outer.tar!inner.zip!a.bin`.
        unread: whether content stayed unread because of it.
    """

    rule: str
    level: Level
    message: str
    location: str = ""
    unread: bool = False


class Member:
    """One file in an archive.

    Attributes:
        location: its path through the archives, `inner.zip!a.bin`.
        depth: 1 for a member of the outermost archive.
        format: what it is, by content first.
        head: its first bytes, `HEAD_SIZE` at most, so that its format is that of a file with the same content.
        size: bytes counted while they streamed; whole once the walk went on to the next member.
        path: the file with the whole content of a member that is itself an archive, during its walk; else None.
        name: its name in the archive, unchecked and unchanged, except for a leading `./`.
    """

    def __init__(self, location: str, depth: int, head: bytes, rest: Iterator[bytes], name: str) -> None:
        self.location, self.depth, self.head, self.name = location, depth, head, name
        # A full head does not show the size.
        self.format = detect_member(name, head, len(head) if len(head) < HEAD_SIZE else 1 << 62)
        self.path: Path | None = None
        self.size = len(head)
        self._tail = head[-zip_tail.TAIL_SIZE :]
        self._rest = rest

    def chunks(self) -> Iterator[bytes]:
        """Yield the content, once and in order, before the walk goes on."""
        if self.head:
            yield self.head
        for chunk in self._rest:
            self._count(chunk)
            yield chunk

    def drain(self) -> None:
        """Read the rest of the content, so that it is measured and its checksum computed."""
        for chunk in self._rest:
            self._count(chunk)

    def ends_in_zip(self) -> bool:
        """Return whether it may end in a zip archive; known once it was read."""
        return zip_tail.may_be_zip(self._tail, self.size)

    def _count(self, chunk: bytes) -> None:
        self.size += len(chunk)
        kept = self._tail if len(chunk) < zip_tail.TAIL_SIZE else b""
        self._tail = (kept + chunk)[-zip_tail.TAIL_SIZE :]


class LimitReached(Exception):
    """An archive costs more than it may; ends the walk."""


class Walk:
    """A walk through one archive; iterate it once, then read `problems`.

    Args:
        path: the archive.
        readers: by format; a reader yields a walk's members of one archive.
        limits: what it may cost.
        kind: its format; empty to find out from its content.
    """

    def __init__(self, path: Path, readers: Mapping[str, Reader], limits: Limits | None = None, kind: str = "") -> None:
        self._path, self._readers, self._limits, self._kind = path, readers, limits or Limits(), kind
        self._archive_size = path.stat().st_size
        self._unpacked = self._members = 0
        self._file: IO[bytes] | None = None
        self._over = ""
        self.problems: list[Problem] = []
        #: Members that are another name of an earlier one's bytes, and that one's name.
        self.hard_links: dict[str, str] = {}

    @property
    def unread(self) -> str:
        """Why some content stayed unread, or empty when all of it was read."""
        return next((f"{p.rule}: {p.message}" for p in self.problems if p.unread), "")

    @property
    def position(self) -> int:
        """Where in the archive's own bytes the walk is: how far it is, for who waits."""
        return self._file.tell() if self._file is not None else 0

    def __iter__(self) -> Iterator[Member]:
        with open(self._path, "rb") as file, self._at(file):
            kind = self._kind or detect(self._path.name, file.read(HEAD_SIZE), self._archive_size)
            file.seek(0)
            try:
                yield from self._archive(kind, file, "", 1)
            except LimitReached as limit:
                self.problem("archive.bomb", "error", f"It is more than may be unpacked: {limit}.", unread=True)

    @contextmanager
    def _at(self, file: IO[bytes]) -> Iterator[None]:
        self._file = file
        try:
            yield
        finally:
            self._file = None

    @staticmethod
    def location(prefix: str, name: str) -> str:
        """Return a member's place, `outer.tar!a.bin`, with unprintable characters escaped."""
        printable = name if name.isprintable() else ascii(name)[1:-1]
        return f"{prefix}!{printable}" if prefix else printable

    def count_member(self) -> None:
        """Count one more entry. Raises LimitReached when there are too many."""
        self._members += 1
        if self._members > self._limits.max_members:
            raise LimitReached(f"more than {self._limits.max_members} members")

    def problem(self, rule: str, level: Level, message: str, location: str = "", *, unread: bool = False) -> None:
        """Note something wrong."""
        self.problems.append(Problem(rule, level, message, location, unread))

    def _archive(self, kind: str, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
        reader = self._readers.get(kind)
        if reader is None:
            self.problem("archive.unsupported", "warning", f"{kind} archives cannot be read.", prefix, unread=True)
            return
        if depth > self._limits.max_depth:
            text = f"More than {self._limits.max_depth} archives lie within each other."
            self.problem("archive.nesting", "error", text, prefix, unread=True)
            return
        try:
            yield from reader(self, file, prefix, depth)
        except (LimitReached, ScannerUnavailable):
            raise
        except TooMuch as error:
            raise LimitReached(str(error)) from error
        except Exception as error:  # noqa: BLE001 (hostile archives make the parsers raise anything; unread is said)
            raise_if_ours(error)
            self.stop_when_over()
            text = f"It cannot be read to its end: {type(error).__name__}: {str(error)[:120]!r}."
            self.problem("archive.malformed", "error", text, prefix, unread=True)

    def member(self, name: str, stream: Readable, prefix: str, depth: int) -> Iterator[Member]:
        """Yield one member and, when it is an archive, its members; its stream is read to the end."""
        found = self._found(name, stream, prefix, depth)
        if found.format not in ARCHIVES:
            yield found
            found.drain()
            self.stop_when_over()
            if found.ends_in_zip():
                text = "The member ends in a zip archive, which programs find whatever comes before it."
                self.problem("archive.hidden-data", "error", text, found.location, unread=True)
            return
        with tempfile.NamedTemporaryFile() as spool:
            for chunk in found.chunks():
                spool.write(chunk)
            self.stop_when_over()
            spool.seek(0)  # It flushes, too, for those who open it by its name.
            nested = Member(found.location, depth, found.head, iter(()), name)
            nested.size, nested.path = found.size, Path(spool.name)
            yield nested
            yield from self._archive(found.format, spool.file, found.location, depth + 1)

    def compressed(self, name: str, stream: Readable, prefix: str, depth: int) -> Iterator[Member]:
        """Yield what a single compressed stream holds: one member, as of an archive."""
        yield from self.member(name, stream, prefix, depth)

    def _found(self, name: str, stream: Readable, prefix: str, depth: int) -> Member:
        location = self.location(prefix, name)
        metered = self._metered(stream, location)
        head = b""
        while len(head) < HEAD_SIZE and (chunk := next(metered, b"")):
            head += chunk
        # A decompressor may give more than it was asked for.
        rest = chain((head[HEAD_SIZE:],), metered) if len(head) > HEAD_SIZE else metered
        return Member(location, depth, head[:HEAD_SIZE], rest, name)

    def stop_when_over(self) -> None:
        """Raise LimitReached when a member's content was cut off by a limit."""
        if self._over:
            raise LimitReached(self._over)

    def exceeded(self, size: int) -> str:
        """Return why `size` more unpacked bytes would be too many, or empty."""
        limits = self._limits
        if self._unpacked + size > limits.max_size:
            return f"more than {limits.max_size} bytes"
        if self._unpacked + size > max(limits.free_size, limits.max_ratio * self._archive_size):
            return f"more than {limits.max_ratio} times its own size"
        return ""

    def _metered(self, stream: Readable, location: str) -> Iterator[bytes]:
        """Yield a member's content; an error is recorded here, as the reader does not belong to the walk."""
        head_left = HEAD_SIZE
        try:
            while chunk := stream.read(head_left or CHUNK_SIZE):
                if reason := self.exceeded(len(chunk)):
                    self._over = reason
                    return
                self._unpacked += len(chunk)
                head_left = max(0, head_left - len(chunk))
                yield chunk
        except Exception as error:  # noqa: BLE001 (hostile members make the decompressors raise anything; unread is said)
            raise_if_ours(error)
            if self._over:
                return  # The archive that it is in was cut off by a limit.
            text = f"The member cannot be read to its end: {type(error).__name__}: {str(error)[:120]!r}."
            self.problem("archive.malformed", "error", text, location, unread=True)


class Names:
    """The names of one archive's entries, checked one by one.

    Args:
        walk: counts the entries and receives the problems.
        prefix: the place of the archive.
    """

    def __init__(self, walk: Walk, prefix: str) -> None:
        self._walk, self._prefix = walk, prefix
        self._exact: set[str] = set()
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def judge(self, name: str, *, folder: bool = False) -> str:
        """Note a name that would leave the folder it is unpacked to, or that another entry has on some system.

        Returns:
            The name without a leading `./`, which `tar -C folder .` puts there, and a folder's without its slash.
        """
        self._walk.count_member()
        location = self._walk.location(self._prefix, name)
        plain = _plain(name.removesuffix("/") if folder else name)
        if folder and not plain:
            return plain
        try:
            safe_path(plain)
        except UnsafePath as error:
            self._walk.problem("archive.unsafe-name", "error", error.problem, location)
        folded = unicodedata.normalize("NFC", plain).casefold()
        other = self._files.get(folded)
        if folder:
            self._folders[folded] = plain
        else:
            other = other if other is not None else self._folders.get(folded)
            self._files[folded] = plain
        if not folder and plain in self._exact:
            self._walk.problem("archive.duplicate", "error", f"Two members are called {plain!r}.", location)
        elif other == plain:
            text = f"{plain!r} is a file and a folder."
            self._walk.problem("archive.duplicate", "error", text, location)
        elif other is not None:
            text = f"Two members are called {other!r} and {plain!r}."
            self._walk.problem("archive.case-collision", "warning", text, location)
        if not folder:
            self._exact.add(plain)
        return plain

    def earlier(self, name: str, link: str) -> str:
        """Return the name of the earlier file that a hard link refers to, or nothing."""
        plain = _plain(name)
        return plain if plain in self._exact and plain != link else ""


def _plain(name: str) -> str:
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name


def raise_if_ours(error: Exception) -> None:
    """Raise when this machine failed and not the archive: it must not count as a fact about the archive."""
    if isinstance(error, OSError) and error.errno in _OURS:
        raise ScannerUnavailable(
            f"An archive could not be unpacked for scanning: {error.strerror}.",
            "Make room in the folder for temporary files, or set TMPDIR to another one; then run it again.",
            errno=error.errno,
        ) from error


#: Yields the members of one open archive at a prefix and depth.
Reader = Callable[[Walk, IO[bytes], str, int], Iterator[Member]]
