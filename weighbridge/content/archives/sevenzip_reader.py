"""7z archives, through py7zr: its members are spooled to a temporary folder, metered while they are unpacked."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import py7zr
from py7zr.exceptions import PasswordRequired, UnsupportedCompressionMethodError
from py7zr.io import Py7zIO, WriterFactory

from weighbridge.content.archives.member_walk import LimitReached, Member, Names, Walk


def read(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the files of a 7z archive; checksums are compared while it is unpacked."""
    try:
        with py7zr.SevenZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
            if archive.needs_password():
                raise PasswordRequired(prefix)
            spools = _Spools(Path(folder), walk)
            _judge_end(walk, file, prefix)
            names = Names(walk, prefix)
            for info in archive.list():
                names.judge(info.filename, folder=info.is_directory)
                if info.is_symlink:
                    location = walk.location(prefix, info.filename)
                    walk.problem("archive.link", "error", "The member is a symbolic link.", location)
            with closing(spools):
                archive.extractall(factory=spools)
            if len(spools.files) < sum(bool(info.uncompressed) for info in archive.list()):
                text = "Some of its members have content and are called folders, so they were not unpacked."
                walk.problem("archive.malformed", "error", text, prefix, unread=True)
            for name, path in spools.files:
                with open(path, "rb") as stream:
                    yield from walk.member(name, stream, prefix, depth)
                path.unlink()
    except PasswordRequired:
        text = "The archive is encrypted, so nobody can say what is in it."
        walk.problem("archive.encrypted", "error", text, prefix, unread=True)
    except UnsupportedCompressionMethodError as error:
        text = f"The archive's compression is not supported: {str(error)[:120]!r}."
        walk.problem("archive.unsupported", "error", text, prefix, unread=True)


def _judge_end(walk: Walk, file: IO[bytes], prefix: str) -> None:
    """Note bytes after the header at the end, whose place the first header gives (7zFormat.txt, SignatureHeader)."""
    position = file.tell()
    file.seek(12)
    offset, size = struct.unpack("<QQ", file.read(16))
    left = file.seek(0, 2) - (32 + offset + size)
    file.seek(position)
    if left > 0:
        text = f"{left} bytes at the end belong to no member."
        walk.problem("archive.hidden-data", "error", text, prefix, unread=True)


class _Spools(WriterFactory):
    """Writes each member to a numbered file, independent of its name."""

    def __init__(self, folder: Path, walk: Walk) -> None:
        self._folder, self._walk = folder, walk
        self.files: list[tuple[str, Path]] = []
        self._open: list[_Spool] = []
        self.written = 0

    def create(self, filename: str) -> Py7zIO:
        path = self._folder / str(len(self.files))
        self.files.append((filename, path))
        self._open.append(_Spool(path, self))
        return self._open[-1]

    def close(self) -> None:
        """Close what a broken archive left open."""
        for spool in self._open:
            spool.close()

    def count(self, size: int) -> None:
        """Hold the limits of the walk while bytes are written, before they are walked."""
        self.written += size
        if reason := self._walk.exceeded(self.written):
            raise LimitReached(reason)


class _Spool(Py7zIO):
    def __init__(self, path: Path, spools: _Spools) -> None:
        self._file = open(path, "w+b")  # noqa: SIM115 (closed by `close`)
        self._spools = spools

    def write(self, data: bytes | bytearray) -> int:
        self._spools.count(len(data))
        return self._file.write(data)

    def read(self, size: int | None = None) -> bytes:
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def flush(self) -> None:
        self._file.flush()

    def size(self) -> int:
        position = self._file.tell()
        end = self._file.seek(0, 2)
        self._file.seek(position)
        return end

    def close(self) -> None:
        self._file.close()
