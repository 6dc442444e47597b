"""The files inside a folder of ClamAV's signatures, read as libclamav reads them, within limits.

A container (.cvd, .cld, .cud) is a header of 512 bytes and a tar, gzipped unless it begins with the file COPYING. This
reader accepts only what libclamav would load in the same way: anything else is `Doubtful`, and what rests on it is
not proven. Not here: what a line means (clamd.signature_lines), or two folders compared (clamd.difference).
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

#: Suffixes of signatures that stand in one line each and match by themselves.
LINES = frozenset(
    [
        ".db",
        ".hdb",
        ".hdu",
        ".hsb",
        ".hsu",
        ".mdb",
        ".mdu",
        ".msb",
        ".msu",
        ".imp",
        ".ndb",
        ".ndu",
        ".ldb",
        ".ldu",
        ".cdb",
        ".zmd",
        ".rmd",
    ],
)
CONTAINERS = frozenset((".cvd", ".cld", ".cud"))
TRUSTED = frozenset((".fp", ".sfp"))
IGNORED = frozenset((".ign", ".ign2"))
YARA = frozenset((".yar", ".yara"))
BYTECODE = frozenset((".cbc",))
#: Suffixes of what decides how a file is unpacked, typed or trusted, so that every signature may depend on it.
SETTINGS = frozenset([".ftm", ".cfg", ".idb", ".pdb", ".wdb", ".gdb", ".pwdb", ".crb", ".cat", ".ioc", ".sdb"])
#: All that libclamav 1.4 loads (readdb.h, CLI_DBEXT); it looks at the end of the name, whatever its case.
LOADED = LINES | CONTAINERS | TRUSTED | IGNORED | YARA | BYTECODE | SETTINGS
_HEADER_SIZE, _BLOCK = 512, 512
_CHUNK = 1024 * 1024
#: libclamav's buffers for a line in bytes; it cuts a longer one, or stops reading there.
_LONGEST, _LONGEST_LOGICAL = 8190, 32766


class Doubtful(Exception):
    """A database of which it is not certain what libclamav would load; the text says why, as a sentence."""


@dataclass
class UnpackedLimits:
    """What unpacking may cost; the official databases need about a fifth of it.

    Attributes:
        size: unpacked bytes of one folder.
        files: files in one container.
        small: bytes of a file that is held in memory.
    """

    size: int = 4 * 1024**3
    files: int = 1000
    small: int = 64 * 1024**2


@dataclass
class DatabaseFile:
    """A file with signatures: one of the folder, or one inside a container.

    Attributes:
        name: its own name.
        container: the container's name, or empty.
        size: bytes.
    """

    name: str
    container: str
    size: int
    _file: IO[bytes] = field(repr=False)
    _limits: UnpackedLimits = field(repr=False)
    _left: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._left = self.size

    @property
    def kind(self) -> str:
        """Its suffix, which says how libclamav reads it."""
        return kind_of(self.name)

    @property
    def place(self) -> str:
        """Its name for a person: `daily.cvd, daily.ndb`."""
        return f"{self.container}, {self.name}" if self.container else self.name

    def content(self) -> bytes:
        """Return all of it. Raises Doubtful for more than is held in memory."""
        if self.size > self._limits.small:
            raise Doubtful(f"{self.place} is larger than {self._limits.small} bytes.")
        return b"".join(self._chunks())

    def lines(self, *, last: bool) -> Iterator[bytes]:
        """Yield its lines without their line feed, and without comments and empty lines.

        Args:
            last: whether to yield a last line without a line feed in a container, which libclamav may not read.

        Raises:
            Doubtful: a line is longer than libclamav's buffer, or has a zero byte, at which its text would end.
        """
        longest = _LONGEST_LOGICAL if self.kind in (".ldb", ".ldu", ".cbc") else _LONGEST
        rest = b""
        for chunk in self._chunks():
            if b"\0" in chunk:
                raise Doubtful(f"{self.place} holds a zero byte.")
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if len(line) > longest:
                    raise Doubtful(f"A line of {self.place} has more than {longest} bytes.")
                if line and not line.startswith(b"#"):
                    yield line
            if len(rest) > longest:
                raise Doubtful(f"A line of {self.place} has more than {longest} bytes.")
        if rest and not rest.startswith(b"#") and (last or not self.container):
            yield rest

    def skip(self) -> None:
        """Read to its end."""
        for _ in self._chunks():
            pass

    def _chunks(self) -> Iterator[bytes]:
        while self._left:
            chunk = self._file.read(min(_CHUNK, self._left))
            if not chunk:
                raise Doubtful(f"{self.place} ends too early.")
            self._left -= len(chunk)
            yield chunk


def kind_of(name: str) -> str:
    """Return the suffix by which libclamav knows a file, in lower case."""
    return f".{name.lower().rpartition('.')[2]}" if "." in name else ""


def loaded(folder: Path) -> tuple[Path, ...]:
    """Return the files of a folder that clamd loads, sorted.

    Raises:
        Doubtful: it holds the daily database twice, of which clamd loads the newer one.
    """
    found = sorted(path for path in folder.iterdir() if kind_of(path.name) in LOADED)
    if {"daily.cvd", "daily.cld"} <= {path.name for path in found}:
        raise Doubtful("The folder holds both daily.cvd and daily.cld.")
    return tuple(found)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parts(path: Path, limits: UnpackedLimits) -> Iterator[DatabaseFile]:
    """Yield a file of the folder, or each file inside a container that libclamav loads; read each before the next.

    Raises:
        Doubtful: the container is not one that libclamav loads whole, or a limit is reached.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if kind_of(path.name) in CONTAINERS:
            try:
                yield from _contained(path.name, file, limits)
            except (gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise Doubtful(f"{path.name} cannot be unpacked.") from error
        else:
            yield DatabaseFile(path.name, "", path.stat().st_size, file, limits)


def _contained(container: str, file: IO[bytes], limits: UnpackedLimits) -> Iterator[DatabaseFile]:
    """Yield the files of a container's tar that libclamav loads (cvd.c, cli_tgzload)."""
    if not file.read(_HEADER_SIZE).startswith(b"ClamAV-VDB:"):
        raise Doubtful(f"{container} has no header.")
    plain = file.read(7) == b"COPYING"
    file.seek(_HEADER_SIZE)
    unpacked = file if plain else cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    total = count = 0
    while (block := unpacked.read(_BLOCK)) and block[0]:
        name, size = _header(container, block)
        total, count = total + size, count + 1
        if total > limits.size or count > limits.files:
            raise Doubtful(f"{container} unpacks to more than {limits.size} bytes or {limits.files} files.")
        part = DatabaseFile(name, container, size, unpacked, limits)
        if part.kind in CONTAINERS:
            raise Doubtful(f"{container} holds another container, {name}.")
        if part.kind in LOADED:
            yield part
        part.skip()
        unpacked.read(-size % _BLOCK)


def _header(container: str, block: bytes) -> tuple[str, int]:
    """Return name and size in a tar's header. Raises Doubtful for one that libclamav would refuse."""
    name = block[:100].split(b"\0")[0].decode("latin-1")
    digits = block[124:136].split(b"\0")[0].strip()
    if len(block) < _BLOCK or block[156:157] not in (b"0", b"\0") or "/" in name or not digits:
        raise Doubtful(f"{container} holds something that is not a file.")
    try:
        return name, int(digits, 8)
    except ValueError as error:
        raise Doubtful(f"{container} holds a file without a size.") from error
