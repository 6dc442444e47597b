"""Where pickles hide in a blob: plain and legacy torch files, .npy, compressed joblib files, archives of any."""

from __future__ import annotations

import ast
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from weighbridge.archives import ARCHIVES, Limits, Walk, walk
from weighbridge.pickles import opcodes
from weighbridge.pickles.opcodes import Walked

#: Bytes of a member kept in memory before it goes to a temporary file.
_SPOOL = 4 * 1024 * 1024
_PROTO = 0x80
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
#: Formats that hold no pickle whatever they are called: their first bytes are no pickle, and no loader unpickles them.
_OTHER = frozenset({"safetensors", "gguf", "parquet", "image", "pdf", "hdf5", "executable", "empty", "tflite"})
MAX_PICKLES = 10_000


@dataclass(frozen=True)
class Stream:
    """One pickle.

    Attributes:
        location: the member it lies in and, for one of several, its offset; empty for the whole blob.
        walked: its opcodes.
        path: a file that begins with it, or None when it is too large to be given to other engines.
        start: where in that file it begins.
    """

    location: str
    walked: Walked
    path: Path
    start: int


class Search:
    """A search for the pickles of one blob; iterate it once, then read `unread`.

    Args:
        path: the blob.
        kind: its format.
        limits: what an archive may cost.
    """

    def __init__(self, path: Path, kind: str, limits: Limits | None = None) -> None:
        self._path, self._kind, self._limits = path, kind, limits
        self.unread = ""
        self.covered = 0

    def __iter__(self) -> Iterator[Stream]:
        if self._kind in ARCHIVES:
            yield from self._archive(walk(self._path, self._limits))
            return
        size = self._path.stat().st_size
        with open(self._path, "rb") as file:
            yield from self._file(file, self._path, size, self._kind, "")
        # What follows the last pickle, or the byte where every loader stops, is reached by none.
        self.covered = size if not self.unread else min(self.covered, size)

    def _archive(self, members: Walk) -> Iterator[Stream]:
        for member in members:
            if member.format in ARCHIVES or member.format in _OTHER:
                continue
            with _spooled(member.chunks()) as path:
                size = path.stat().st_size
                with open(path, "rb") as file:
                    yield from self._file(file, path, size, member.format, member.location)
        self.unread = self.unread or members.unread
        self.covered = self._path.stat().st_size if not members.unread else 0

    def _file(self, file: IO[bytes], path: Path, size: int, kind: str, location: str) -> Iterator[Stream]:
        """Yield the pickles of one file: one after the other, as torch's legacy format and several dumps have them."""
        start = 0
        if kind == "npy":
            start = _after_npy_header(file)
            if start < 0:
                self.covered = size
                return
        elif kind == "pickle" and file.read(2) in _ZLIB:
            yield from self._inflated(path, location)
            return
        for _ in range(MAX_PICKLES):
            file.seek(start)
            if start >= size:
                return
            walked = opcodes.walk(file, size)
            if not _is_pickle(walked, path, start, claimed=kind in ("pickle", "npy") and start == 0):
                self.covered = max(self.covered, walked.end)
                return
            where = f"{location}@{start}" if start else location
            yield Stream(where, walked, path, start)
            self.covered = max(self.covered, walked.end)
            if not walked.stopped:
                self.unread = self.unread or f"the pickle {where or 'itself'} is malformed: {walked.problem}"
                return
            start = walked.end
        self.unread = f"it holds more than {MAX_PICKLES} pickles"

    def _inflated(self, path: Path, location: str) -> Iterator[Stream]:
        limits = self._limits or Limits()
        budget = max(limits.free_size, limits.max_ratio * path.stat().st_size)
        try:
            with _spooled(_inflate(path, budget)) as inflated, open(inflated, "rb") as file:
                inner = f"{location}!zlib" if location else "zlib"
                yield from self._file(file, inflated, inflated.stat().st_size, "unknown", inner)
            self.covered = path.stat().st_size
        except (zlib.error, ValueError) as error:
            self.unread = f"its compressed content cannot be read: {str(error)[:80]}"


def _is_pickle(walked: Walked, path: Path, start: int, *, claimed: bool) -> bool:
    """Whether bytes count as a pickle: whole ones that do something, and broken ones that would have done something."""
    with open(path, "rb") as file:
        file.seek(start)
        marked = file.read(1) == bytes([_PROTO])
    if walked.stopped:
        return marked or claimed or bool(walked.imports) or walked.opcodes > 2
    return bool(walked.imports) or (marked and walked.opcodes > 1)


def _after_npy_header(file: IO[bytes]) -> int:
    """Return where a .npy file's pickle begins, or -1 when it holds plain numbers (numpy.lib.format)."""
    head = file.read(8)
    layout, size = ("<H", 2) if head[6:7] == b"\x01" else ("<I", 4)
    raw = file.read(size)
    if len(raw) < size:
        return 0
    (length,) = struct.unpack(layout, raw)
    text = file.read(min(length, 1_000_000))
    try:
        header = ast.literal_eval(text.decode("latin-1"))
        described = str(header["descr"])
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        return file.tell()
    return file.tell() if "O" in described else -1


def _inflate(path: Path, budget: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj()
    with open(path, "rb") as file:
        while chunk := file.read(65_536):
            while chunk:
                content = inflater.decompress(chunk, 1024 * 1024)
                budget -= len(content)
                if budget < 0:
                    raise ValueError("it is more than may be unpacked")
                yield content
                chunk = inflater.unconsumed_tail


@contextmanager
def _spooled(chunks: Iterator[bytes]) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="weighbridge-member-") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        yield Path(file.name)
