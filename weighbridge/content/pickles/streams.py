"""Where pickles hide in a blob: plain and legacy torch files, .npy, compressed joblib files, archives of any.

Content decides, not names: a file of any format whose bytes an unpickler would run is searched.
Data that a container declares as raw numbers are skipped: torch's storages, and arrays of .npy files.
Not here: the pickles of one file (chain), and what a pickle would do (machine, engines).
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from weighbridge.content.archives import ARCHIVES, Limits, Member, Walk, raise_if_ours, walk, zip_at_end
from weighbridge.content.archives.streams import LZMA_ALONE, ZLIB, Codec, Decompressed
from weighbridge.content.detection import detect_file
from weighbridge.content.findings import Findings
from weighbridge.content.pickles import machine, npy
from weighbridge.content.pickles.chain import Chain, SearchedFile, Stream
from weighbridge.content.pickles.recognition import MARK, is_pickle
from weighbridge.content.pickles.stack import Bytes
from weighbridge.content.pickles.storage_members import StorageMembers

_CHUNK_SIZE = 1024 * 1024
#: Bytes of a member kept in memory before it goes to a temporary file.
_SPOOL = 4 * 1024 * 1024
#: Compressed content that joblib opens by its first bytes, whatever it is called: deflate with a window of 32 KiB, at
#: any level (RFC 1950), and LZMA in its oldest container, with the size that it says and its coder's first byte.
_COMPRESSED = (
    (re.compile(rb"\x78[\x01\x5e\x9c\xda]"), ZLIB),
    (re.compile(rb"\x5d\0.{3}(\xff{8}|.{5}\0{3})\0", re.DOTALL), LZMA_ALONE),
)
_COMPRESSED_HEAD = 16
MAX_PICKLES = 10_000
#: Files that torch saved into pickles, within each other.
_MAX_DEPTH = 4


class Search:
    """A search for the pickles of one blob; iterate it once, then read `unread`, `findings` and `covered`.

    Args:
        path: the blob.
        kind: its format.
        limits: what an archive may cost.

    Attributes:
        unread: why something of it could not be searched, or empty.
        findings: problems other than those of the pickles themselves.
        covered: bytes of the blob searched; beyond a pickle's end, or the byte where every loader stops, none reads.
    """

    def __init__(self, path: Path, kind: str, limits: Limits | None = None) -> None:
        self._path, self._kind, self._limits = path, kind, limits or Limits()
        self._depth = 0
        self._left = MAX_PICKLES
        self._budget = machine.Budget()
        self.unread = ""
        self.findings = Findings()
        self.covered = 0

    def __iter__(self) -> Iterator[Stream]:
        size = self._path.stat().st_size
        with open(self._path, "rb") as file:
            # A file can be an archive to one loader and a pickle to another.
            yield from self._file(SearchedFile(file, size, self._kind))
        if self._kind in ARCHIVES:
            yield from self._archive(walk(self._path, self._limits, self._kind))
        elif zip_at_end(self._path):
            yield from self._archive(walk(self._path, self._limits, "zip"))
        self.covered = 0 if self.unread else size

    def _cannot_read(self, why: str) -> None:
        self.unread = self.unread or why

    def _archive(self, members: Walk) -> Iterator[Stream]:
        storages = StorageMembers()
        for member in members:
            if storages.holds(member):
                continue
            if member.format == "npy":
                yield from self._array(member)
                continue
            with _searched(member) as file:
                for stream in self._file(SearchedFile(file, file.seek(0, 2), member.format, member.location)):
                    storages.name(stream.location, stream.walked.sizes.storages)
                    yield stream
        if members.unread:
            self._cannot_read(members.unread)
        else:
            self.findings.extend(storages.inconsistent().all)

    def _array(self, member: Member) -> Iterator[Stream]:
        """Yield the pickles of an array that is a member: its numbers are not kept, what follows is searched."""
        array = npy.read(io.BytesIO(member.head), 0)
        end = array.start + array.size if array and array.size is not None else 0
        with _spooled(_beyond(member.chunks(), end)) as file:
            if member.size < end:
                text = f"Its array needs {end - member.size} bytes more than there are."
                self.findings.add("pickle.inconsistent", "error", text, member.location)
            yield from self._file(SearchedFile(file, file.seek(0, 2), "npy", member.location, offset=end))

    def _file(self, source: SearchedFile, *, inflated: bool = False) -> Iterator[Stream]:
        """Yield the pickles of one file, compressed as joblib does it or not."""
        source.file.seek(0)
        codec = _codec(source.file.read(_COMPRESSED_HEAD))
        if codec and not inflated and source.format not in ARCHIVES:
            yield from self._inflated(codec, source)
            return
        chain = Chain(source, self._budget, self._left)
        saved: dict[Bytes, str] = {}
        for stream in chain:
            saved |= dict.fromkeys(stream.walked.files, stream.location)
            yield stream
        self._left -= chain.found
        self.findings.extend(chain.findings.all)
        self._cannot_read(chain.unread)
        for place, location in saved.items():
            yield from self._saved(source.file, place, location)

    def _saved(self, file: IO[bytes], place: Bytes, location: str) -> Iterator[Stream]:
        """Yield the pickles of a file that torch saved into the bytes of a pickle, and loads from there."""
        where = f"{location}!torch@{place.start}" if location else f"torch@{place.start}"
        if self._depth >= _MAX_DEPTH:
            self._cannot_read(f"{where} lies in too many others")
            return
        with tempfile.NamedTemporaryFile(prefix="weighbridge-torch-") as copy:
            file.seek(place.start)
            for start in range(0, place.size, _CHUNK_SIZE):
                copy.write(file.read(min(_CHUNK_SIZE, place.size - start)))
            copy.flush()
            path = Path(copy.name)
            inner = Search(path, detect_file("saved.pt", path), self._limits)
            inner._depth, inner._budget, inner._left = self._depth + 1, self._budget, self._left
            for stream in inner:
                yield Stream(f"{where}!{stream.location}" if stream.location else where, stream.walked)
            self._left = inner._left
        self._cannot_read(inner.unread and f"{where}: {inner.unread}")
        for found in inner.findings.all:
            self.findings.add(found.rule, found.level, found.message, f"{where}!{found.location}".rstrip("!"))

    def _inflated(self, codec: Codec, source: SearchedFile) -> Iterator[Stream]:
        """Yield the pickles of a compressed stream, which joblib reads under any file name.

        A truncated stream is searched up to its end: a pickle runs before a reader reaches its container's end.
        """
        source.file.seek(0)
        limit = max(self._limits.free_size, self._limits.max_ratio * source.size)
        content = _Held(Decompressed(source.file, codec), limit)
        inner = f"{source.location}!compressed" if source.location else "compressed"
        found = False
        with _spooled(content) as inflated:
            size = inflated.seek(0, 2)
            for stream in self._file(SearchedFile(inflated, size, source.format, inner), inflated=True):
                found = True
                yield stream
            if content.problem and (found or content.limited):
                self._cannot_read(f"its compressed content cannot be read: {content.problem}")


def _codec(head: bytes) -> Codec | None:
    return next((codec for begins, codec in _COMPRESSED if begins.match(head)), None)


@contextmanager
def _searched(member: Member) -> Iterator[IO[bytes]]:
    """Give what is searched of a member: all of it where a pickle may begin, else its head."""
    if member.path:
        # What lies in an archive follows as members; the archive may be a pickle too.
        with open(member.path, "rb") as archive:
            yield archive
        return
    with _spooled(member.chunks() if _may_hold_pickle(member) else (member.head,)) as file:
        yield file


def _may_hold_pickle(member: Member) -> bool:
    """Return whether a member's head may begin a pickle, or a chain of some, so that weights need no temporary file."""
    if member.format == "pickle" or _codec(member.head):
        return True
    head = io.BytesIO(member.head)
    walked = machine.walk(head, 1 << 62)
    marked = MARK.match(member.head) is not None
    cut = head.tell() >= len(member.head)
    return cut or walked.stopped or is_pickle(walked, marked=marked, opened=True, ends=False)


def _beyond(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """Yield what follows so many bytes."""
    for chunk in chunks:
        if len(chunk) > count:
            yield chunk[count:]
        count -= min(count, len(chunk))


class _Held:
    """Decompressed content up to a limit, or to where it breaks off.

    Attributes:
        problem: the reason why it ended early, or empty.
        limited: whether that is because more comes out, or needs more memory, than may be.
    """

    def __init__(self, content: Decompressed, limit: int) -> None:
        self._content, self._left = content, limit
        self.problem, self.limited = "", False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._content.read(_CHUNK_SIZE):
                self._left -= len(chunk)
                if self._left < 0:
                    self.problem, self.limited = "it is more than may be unpacked", True
                    return
                yield chunk
        except (EOFError, *Decompressed.ERRORS) as error:
            self.problem = str(error)[:80]
            self.limited = "memory usage limit" in self.problem.lower()


@contextmanager
def _spooled(chunks: Iterable[bytes]) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(_SPOOL) as file:
        for chunk in chunks:
            try:
                file.write(chunk)
            except OSError as error:
                raise_if_ours(error)
                raise
        yield file
