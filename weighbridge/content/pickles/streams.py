"""Where pickles hide in a blob: plain and legacy torch files, .npy, compressed joblib files, archives of any.

Content decides, not names: whatever its format is said to be, a file whose bytes an unpickler would run is searched.
Not here: what a pickle would do (machine, engines).
"""

from __future__ import annotations

import ast
import io
import re
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from weighbridge.content.archives import ARCHIVES, Limits, Member, Walk, raise_if_ours, walk, zip_at_end
from weighbridge.content.archives.streams import LZMA_ALONE, ZLIB, Codec, Decompressed
from weighbridge.content.pickles import machine
from weighbridge.content.pickles.globals import classify
from weighbridge.content.pickles.machine import Walked

_CHUNK_SIZE = 1024 * 1024
#: Bytes of a member kept in memory before it goes to a temporary file.
_SPOOL = 4 * 1024 * 1024
_PROTO = b"\x80"
#: Compressed content that joblib opens by its first bytes and that is no archive: deflate with a window of 32 KiB, at
#: any level (RFC 1950), and LZMA in its oldest container.
_COMPRESSED = dict.fromkeys((b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), ZLIB) | {b"\x5d\0": LZMA_ALONE}
MAX_PICKLES = 10_000
#: What modules and attributes that can be imported are called; a hyphen only in a file's name.
_NAME = re.compile(r"[\w.-]+")
_MAX_NPY_HEADER = 1024 * 1024
#: numpy's types without references, as .npy headers write them: `<f4`, `|S12`, `<M8[ns]`.
_PLAIN_TYPE = re.compile(r"[<>|=]?[?biufcmMSUVa]\d*(\[\w+\])?")


@dataclass(frozen=True)
class Stream:
    """One pickle.

    Attributes:
        location: the member it lies in and, for one of several, its offset; empty for the whole blob.
        walked: what a walk over its opcodes came to.
    """

    location: str
    walked: Walked


class Search:
    """A search for the pickles of one blob; iterate it once, then read `unread` and `covered`.

    Args:
        path: the blob.
        kind: its format.
        limits: what an archive may cost.

    Attributes:
        unread: why something of it could not be searched, or empty.
        covered: bytes of the blob searched; beyond a pickle's end, or the byte where every loader stops, none reads.
    """

    def __init__(self, path: Path, kind: str, limits: Limits | None = None) -> None:
        self._path, self._kind, self._limits = path, kind, limits or Limits()
        self._left = MAX_PICKLES
        self._budget = machine.Budget()
        self.unread = ""
        self.covered = 0

    def __iter__(self) -> Iterator[Stream]:
        size = self._path.stat().st_size
        with open(self._path, "rb") as file:
            # A file can be an archive to one loader and a pickle to another.
            yield from self._file(file, size, self._kind, "")
        if self._kind in ARCHIVES:
            yield from self._archive(walk(self._path, self._limits, self._kind))
        elif zip_at_end(self._path):
            yield from self._archive(walk(self._path, self._limits, "zip"))
        self.covered = 0 if self.unread else size

    def _cannot_read(self, why: str) -> None:
        self.unread = self.unread or why

    def _archive(self, members: Walk) -> Iterator[Stream]:
        for member in members:
            # What lies in an archive follows as members; its own head says whether it is a pickle too.
            whole = member.format not in ARCHIVES and _may_hold_pickle(member)
            with _spooled(member.chunks() if whole else (member.head,)) as file:
                yield from self._file(file, file.seek(0, 2), member.format, member.location)
        if members.unread:
            self._cannot_read(members.unread)

    def _file(
        self, file: IO[bytes], size: int, kind: str, location: str, *, inflated: bool = False
    ) -> Iterator[Stream]:
        """Yield the pickles of one file: one after the other, as torch's legacy format and several dumps have them."""
        start = 0
        file.seek(0)
        if kind == "npy":
            start = _after_npy_header(file)
            if start < 0:
                return
            if start >= size:
                self._cannot_read(f"{location or 'it'} is cut off")
        elif not inflated and (codec := _COMPRESSED.get(file.read(2))):
            yield from self._inflated(codec, file, size, kind, location)
            return
        first = start
        while start < size:
            file.seek(start)
            walked = machine.walk(file, size, budget=self._budget)
            if walked.limited:
                self._cannot_read(f"{location or 'it'} costs more than it may: {walked.problem}")
            if not _is_pickle(walked, file, start):
                if start == first and kind in ("pickle", "npy"):
                    self._cannot_read(f"{location or 'it'} is no pickle that can be read: {walked.problem}")
                return
            where = f"{location}@{start}" if start else location
            if walked.imports or not walked.stopped or kind == "pickle" or _is_marked(file, start):
                # Plain values without a mark are harmless, and a text may be just that.
                yield Stream(where, walked)
            if not walked.stopped:
                self._cannot_read(f"the pickle {where or 'itself'} is malformed: {walked.problem}")
                return
            start = walked.end
            self._left -= 1
            if self._left <= 0:
                self._cannot_read(f"it holds more than {MAX_PICKLES} pickles")
                return

    def _inflated(self, codec: Codec, file: IO[bytes], size: int, kind: str, location: str) -> Iterator[Stream]:
        """Yield the pickles of a compressed stream, which joblib reads whatever the file is called.

        A stream that breaks off is searched up to there: a pickle runs before anybody comes to its container's end.
        """
        file.seek(0)
        content = _Held(Decompressed(file, codec), max(self._limits.free_size, self._limits.max_ratio * size))
        inner = f"{location}!compressed" if location else "compressed"
        found = False
        with _spooled(content) as inflated:
            for stream in self._file(inflated, inflated.seek(0, 2), kind, inner, inflated=True):
                found = True
                yield stream
        if content.problem and (found or content.limited or kind in ("pickle", "npy")):
            self._cannot_read(f"its compressed content cannot be read: {content.problem}")


def _may_hold_pickle(member: Member) -> bool:
    """Whether a pickle may begin with a member's head, so that weights need not be written to a temporary file."""
    head = io.BytesIO(member.head)
    if member.format == "npy":
        return _after_npy_header(head) >= 0
    if member.head[:2] in _COMPRESSED:
        return True
    walked = machine.walk(head, 1 << 62)
    return head.tell() >= len(member.head) or _is_pickle(walked, head, 0)


class _Held:
    """Decompressed content up to a limit, or to where it breaks off.

    Attributes:
        problem: why there is no more, or empty when it was read to its end.
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


def _is_pickle(walked: Walked, file: IO[bytes], start: int) -> bool:
    """Whether bytes count as a pickle: whole ones, and broken ones that would have done something before they break.

    A text may begin as a pickle of the oldest protocol does (`class A:` imports, to an unpickler): without a mark, what
    breaks off counts when it called something or imported something harmful.
    """
    if walked.stopped:
        return True
    if _is_marked(file, start):
        return walked.opcodes > 1
    named = [found for found in walked.imports if not found.module or _NAME.fullmatch(f"{found.module}.{found.name}")]
    return bool(named) and (walked.calls > 0 or any(classify(found) == "dangerous" for found in named))


def _is_marked(file: IO[bytes], start: int) -> bool:
    file.seek(start)
    return file.read(1) == _PROTO


def _after_npy_header(file: IO[bytes]) -> int:
    """Return where a .npy file's pickle begins, or -1 when it holds plain numbers (numpy.lib.format)."""
    head = file.read(8)
    layout, size = ("<H", 2) if head[6:7] == b"\x01" else ("<I", 4)
    raw = file.read(size)
    if len(raw) < size:
        return 0
    (length,) = struct.unpack(layout, raw)
    text = file.read(min(length, _MAX_NPY_HEADER))
    try:
        header = ast.literal_eval(text.decode("latin-1"))
        objects = _holds_objects(header["descr"])
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        objects = True
    return file.tell() if objects else -1


def _holds_objects(described: Any) -> bool:
    """Whether a type, as .npy headers describe it, may have references: `|O`, or a field of a structure."""
    if isinstance(described, str):
        return _PLAIN_TYPE.fullmatch(described) is None
    if isinstance(described, list):
        return any(_holds_objects(field[1]) for field in described)
    return _holds_objects(described[0])


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
