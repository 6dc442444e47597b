"""Zip archives: members from the central directory, read by us so that a wrong checksum hides no byte.

Two readers of one zip may see different members (local headers against the central directory, overlaps, bytes before,
between and after), so every disagreement is a problem, and bytes that belong to no member count as unread. Format:
PKWARE APPNOTE 6.3.10. The central directory itself is parsed by `zipfile`.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, cast

from weighbridge.content.archives import streams
from weighbridge.content.archives.links import Links
from weighbridge.content.archives.member_walk import Member, Names, Walk
from weighbridge.content.archives.streams import Bounded, Codec, Decompressed, Window
from weighbridge.content.findings import quoted

#: Bytes of a central directory and its end, which zipfile reads whole: 100,000 members with names of 100 letters.
_MAX_DIRECTORY = 16 * 1024**2
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
#: The content, its strong form, and the directory (4.4.4).
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PATCH = 0x20
_HAS_DESCRIPTOR = 0x8
_IS_UTF8 = 0x800
#: Systems of the programs that made an entry (4.4.2).
_DOS, _UNIX = 0, frozenset({3, 19})
#: Bytes of nothing, compressed, as Java writes it for folders.
_EMPTY_DEFLATED = 2
#: Bytes of a data descriptor at most: signature, checksum, two 8-byte sizes.
_DESCRIPTOR_SIZE = 24
#: Info-ZIP's second name of a member, which its programs and newer Pythons take (APPNOTE 4.6.9): what comes before it.
_SECOND_NAME = 0x7075
_SECOND_NAME_HEAD = struct.Struct("<BL")
#: Bytes of a symbolic link.
_MAX_TARGET = 4096
_LZMA, _ZSTD = 14, 93
_CODECS = {zipfile.ZIP_DEFLATED: streams.DEFLATE, zipfile.ZIP_BZIP2: streams.BZIP2, _ZSTD: streams.ZSTD}
_SUPPORTED = {zipfile.ZIP_STORED, _LZMA, *_CODECS}


@dataclass(frozen=True)
class ZipEntry:
    """A file of a zip archive, as the directory and the file's own header describe it.

    Attributes:
        name: without a leading `./`.
        info: its entry in the directory.
        start: where its content begins.
    """

    name: str
    info: zipfile.ZipInfo
    start: int


def read(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the files of a zip archive; checksums are compared after they are read."""
    for entry in entries(walk, file, prefix):
        yield from member(walk, file, entry, prefix, depth)


def entries(walk: Walk, file: IO[bytes], prefix: str = "") -> Iterator[ZipEntry]:
    """Yield the files that can be read; what is wrong with any entry is noted in the walk before it."""
    with zipfile.ZipFile(cast("IO[bytes]", Bounded(file, _MAX_DIRECTORY))) as archive:
        starts = _judge_layout(walk, file, archive, prefix)
        names, links = Names(walk, prefix), Links(walk, prefix)
        for info in archive.infolist():
            written = _name(info)
            is_folder = written.endswith("/")
            name = names.judge(written, folder=is_folder)
            location = walk.location(prefix, written)
            if (second := _second_name(info)) not in (None, _raw_name(info), written.encode()):
                text = f"The member has a second name that some readers take: {quoted(second)}."
                walk.problem("archive.ambiguous", "error", text, location)
            if is_folder and info.file_size == 0 and info.compress_size <= _EMPTY_DEFLATED:
                if info.compress_size and _holds(file, info, starts.get(info.header_offset)):
                    text = "The member is called a folder and has content."
                    walk.problem("archive.ambiguous", "error", text, location, unread=True)
                continue
            if is_folder:
                text = "The member is called a folder and has content."
                walk.problem("archive.ambiguous", "error", text, location)
            if (kind := stat.S_IFMT(info.external_attr >> 16)) == stat.S_IFLNK:
                links.add(name, _target(file, info, starts))
            elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                walk.problem("archive.device", "error", "The member is a device or a pipe.", location)
            if info.flag_bits & _ENCRYPTED:
                text = "The member is encrypted, so nobody can say what is in it."
                walk.problem("archive.encrypted", "error", text, location, unread=True)
            elif info.compress_type not in _SUPPORTED or info.flag_bits & _PATCH:
                text = f"The member's compression {info.compress_type} is not supported, or it is a patch."
                walk.problem("archive.unsupported", "error", text, location, unread=True)
            elif info.header_offset in starts:
                links.pass_through(name)
                yield ZipEntry(name, info, starts[info.header_offset])
        links.finish()


def _target(file: IO[bytes], info: zipfile.ZipInfo, starts: dict[int, int]) -> str:
    """Return the target of a symbolic link, which is its content; an invalid path counts as leading out."""
    if info.header_offset not in starts or info.file_size > _MAX_TARGET or info.compress_type not in _SUPPORTED:
        return "/"
    try:
        return _Content(file, info, starts[info.header_offset]).read(_MAX_TARGET).decode()
    except (EOFError, struct.error, *Decompressed.ERRORS):
        return "/"


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name as the program that wrote it meant it.

    Names without the flag of UTF-8 are CP437 (APPNOTE 4.4.17), but the programs of Unix and macOS write them as their
    file system has them, UTF-8. .NET and PowerShell 5 separate folders with backslashes, as unzip reads them.
    """
    name = info.orig_filename  # zipfile cuts `filename` at NUL.
    if not info.flag_bits & _IS_UTF8 and info.create_system in _UNIX:
        with suppress(UnicodeDecodeError):
            return _raw_name(info).decode()
    if info.create_system == _DOS and "\\" in name and "/" not in name:
        return name.replace("\\", "/")
    return name


def _second_name(info: zipfile.ZipInfo) -> bytes | None:
    """Return the name that a field of Info-ZIP's gives a member instead of its own, or None."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == _SECOND_NAME:
            return extra[4 + _SECOND_NAME_HEAD.size : 4 + size]
        extra = extra[4 + size :]
    return None


def _holds(file: IO[bytes], info: zipfile.ZipInfo, start: int | None) -> bool:
    """Return whether a folder's entry, which Java compresses, holds anything."""
    if start is None or info.compress_type not in _CODECS:
        return True
    content = _Content(file, info, start)
    return bool(content.read(1)) or bool(content.trailing)


class _Content:
    """A member's content, with its checksum and size counted while it is read."""

    def __init__(self, file: IO[bytes], info: zipfile.ZipInfo, start: int) -> None:
        file.seek(start)
        self._window = Window(file, info.compress_size)
        codec = _CODECS.get(info.compress_type)
        if info.compress_type == _LZMA:
            codec = _lzma_codec(self._window)
        self._content = Decompressed(self._window, codec) if codec else self._window
        self.checksum = self.size = 0

    def read(self, size: int) -> bytes:
        content = self._content.read(size)
        self.checksum = zlib.crc32(content, self.checksum)
        self.size += len(content)
        return content

    @property
    def trailing(self) -> int:
        return self._content.trailing if isinstance(self._content, Decompressed) else 0


def _lzma_codec(window: Window) -> Codec:
    """Read the properties that come first (APPNOTE 5.8.8); the stream itself has no header."""
    head = window.read(4)
    properties = window.read(struct.unpack("<H", head[2:])[0])
    codec, dictionary = struct.unpack("<BI", properties[:5])
    options = {
        "id": lzma.FILTER_LZMA1,
        "lc": codec % 9,
        "lp": codec // 9 % 5,
        "pb": codec // 45,
        "dict_size": min(dictionary, 128 * 1024**2),
    }
    return Codec(lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[options]))


def member(walk: Walk, file: IO[bytes], entry: ZipEntry, prefix: str, depth: int) -> Iterator[Member]:
    """Yield an entry's member and what is in it; its size and checksum are compared after it is read."""
    info, location = entry.info, walk.location(prefix, entry.name)
    content = _Content(file, info, entry.start)
    before = len(walk.problems)
    yield from walk.member(entry.name, content, prefix, depth)
    if any(problem.location == location and problem.unread for problem in walk.problems[before:]):
        return
    if content.trailing:
        text = f"{content.trailing} bytes after the member's compressed content belong to none of it."
        walk.problem("archive.hidden-data", "error", text, location, unread=True)
    if content.size != info.file_size:
        text = f"The member has {content.size} bytes, not the {info.file_size} that the directory says."
        walk.problem("archive.ambiguous", "error", text, location, unread=content.size < info.file_size)
    if content.checksum != info.CRC:
        walk.problem("archive.checksum", "error", "The member's checksum is wrong.", location)


def _judge_layout(walk: Walk, file: IO[bytes], archive: zipfile.ZipFile, prefix: str) -> dict[int, int]:
    """Note what two readers could see differently; return where each member's content begins, by its header."""
    end, may_follow, starts = 0, 0, {}
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end:
            text = f"The member {info.filename!r} overlaps another one."
            walk.problem("archive.overlap", "error", text, prefix, unread=True)
        elif (gap := info.header_offset - end) > may_follow:
            _hidden(walk, f"{gap} bytes before the member {info.filename!r}", prefix)
        start = _judge_header(walk, file, info, prefix)
        if start is None:
            continue
        starts[info.header_offset] = start
        end = max(end, start + info.compress_size)
        may_follow = _DESCRIPTOR_SIZE if info.flag_bits & _HAS_DESCRIPTOR else 0
    if (gap := archive.start_dir - end) > may_follow:
        _hidden(walk, f"{gap} bytes after the last member", prefix)
    elif gap < 0:
        walk.problem("archive.overlap", "error", "The last member overlaps the directory.", prefix, unread=True)
    if left := _after_directory(file, archive):
        _hidden(walk, f"{left} bytes at the end", prefix)
    return starts


def _hidden(walk: Walk, what: str, prefix: str) -> None:
    walk.problem("archive.hidden-data", "error", f"{what} belong to no member.", prefix, unread=True)


def _judge_header(walk: Walk, file: IO[bytes], info: zipfile.ZipInfo, prefix: str) -> int | None:
    """Note where a member's own header differs from the directory; return where its content begins."""
    file.seek(info.header_offset)
    raw = file.read(_LOCAL_HEADER.size)
    if len(raw) < _LOCAL_HEADER.size or raw[:4] != _LOCAL_MAGIC:
        text = f"The member {info.filename!r} has no header where the directory says."
        walk.problem("archive.malformed", "error", text, prefix, unread=True)
        return None
    _, _, flags, compression, _, _, checksum, packed, size, name_size, extra_size = _LOCAL_HEADER.unpack(raw)
    same = file.read(name_size) == _raw_name(info) and compression == info.compress_type
    same &= not (flags ^ info.flag_bits) & _ENCRYPTED
    if not flags & _HAS_DESCRIPTOR:
        same &= checksum == info.CRC
        same &= packed in (info.compress_size, 0xFFFFFFFF) and size in (info.file_size, 0xFFFFFFFF)
    if not same:
        text = f"The member {info.filename!r} is described differently in its header and in the directory."
        walk.problem("archive.ambiguous", "error", text, prefix)
    return int(info.header_offset + _LOCAL_HEADER.size + name_size + extra_size)


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _IS_UTF8 else "cp437", "replace")


def _after_directory(file: IO[bytes], archive: zipfile.ZipFile) -> int:
    """Return how many bytes after the central directory are neither its end records nor the comment."""
    entries = sum(46 + len(_raw_name(info)) + len(info.extra) + len(info.comment) for info in archive.infolist())
    position = archive.start_dir + entries
    size = file.seek(0, 2)
    file.seek(position)
    record = file.read(12)
    if record[:4] == b"PK\x06\x06" and len(record) == 12:
        position += 12 + struct.unpack("<Q", record[4:])[0] + 20
    return size - position - 22 - len(archive.comment)
