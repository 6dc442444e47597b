"""Zip archives: members from the central directory, and the bytes that belong to none of them.

Two readers of one zip may see different members (local headers against the central directory, overlaps, data before,
between and after), so every disagreement is a problem. Format: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from typing import IO

from weighbridge.archives.walking import Member, Walk

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 0x1
_HAS_DESCRIPTOR = 0x8
#: Bytes of a data descriptor at most: signature, checksum, two 8-byte sizes.
_DESCRIPTOR_SIZE = 24
_SUPPORTED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_LINK_TYPE = 0o120000


def read(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the files of a zip archive; checksums are compared while they are read."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        walk.judge_names([info.filename for info in members], prefix)
        _judge_layout(walk, file, archive, prefix)
        for info in members:
            walk.judge_name(info.filename, prefix)
            location = f"{prefix}!{info.filename}" if prefix else info.filename
            if info.is_dir() and info.file_size == 0:
                continue
            if info.external_attr >> 16 & 0o170000 == _LINK_TYPE:
                walk.problem("archive.link", "error", "The member is a symbolic link.", location)
            if info.flag_bits & _ENCRYPTED:
                text = "The member is encrypted, so nobody can say what is in it."
                walk.problem("archive.encrypted", "error", text, location, unread=True)
            elif info.compress_type not in _SUPPORTED:
                text = f"The member's compression {info.compress_type} is not supported."
                walk.problem("archive.unsupported", "error", text, location, unread=True)
            else:
                yield from _member(walk, archive, info, prefix, depth)


def _member(walk: Walk, archive: zipfile.ZipFile, info: zipfile.ZipInfo, prefix: str, depth: int) -> Iterator[Member]:
    location = f"{prefix}!{info.filename}" if prefix else info.filename
    try:
        with archive.open(info) as stream:
            yield from walk.member(info.filename, stream, prefix, depth)
    except (zipfile.BadZipFile, EOFError, struct.error) as error:
        text = f"The member cannot be read to its end: {str(error)[:120]!r}."
        walk.problem("archive.malformed", "error", text, location, unread=True)


def _judge_layout(walk: Walk, file: IO[bytes], archive: zipfile.ZipFile, prefix: str) -> None:
    """Note bytes before, between or after the members, overlaps, and local headers that say something else."""
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end:
            text = f"The member {info.filename!r} overlaps another one."
            walk.problem("archive.overlap", "error", text, prefix)
        elif info.header_offset - end > (_DESCRIPTOR_SIZE if end else 0):
            text = f"{info.header_offset - end} bytes before the member {info.filename!r} belong to no member."
            walk.problem("archive.hidden-data", "warning", text, prefix)
        file.seek(info.header_offset)
        raw = file.read(_LOCAL_HEADER.size)
        if len(raw) < _LOCAL_HEADER.size or raw[:4] != _LOCAL_MAGIC:
            text = f"The member {info.filename!r} has no header where the directory says."
            walk.problem("archive.malformed", "error", text, prefix, unread=True)
            continue
        header = _LOCAL_HEADER.unpack(raw)
        flags, compression, name_size, extra_size = header[2], header[3], header[9], header[10]
        if compression != info.compress_type or (flags ^ info.flag_bits) & _ENCRYPTED:
            text = f"The member {info.filename!r} is described differently in its header and in the directory."
            walk.problem("archive.ambiguous", "error", text, prefix)
        end = max(end, info.header_offset + _LOCAL_HEADER.size + name_size + extra_size + info.compress_size)
    gap = archive.start_dir - end
    if gap > _DESCRIPTOR_SIZE:
        walk.problem("archive.hidden-data", "warning", f"{gap} bytes after the last member belong to none.", prefix)
    file.seek(0, 2)
    directory = sum(
        46 + len(info.orig_filename.encode("utf-8", "replace")) + len(info.extra) + len(info.comment)
        for info in archive.infolist()
    )
    # End records: 22 bytes, with zip64 98, and the comment; extra fields may differ by the zip64 part.
    slack = file.tell() - archive.start_dir - directory - len(archive.comment) - 22
    if slack > 76 + 32 * len(archive.infolist()) + 1024:
        walk.problem("archive.hidden-data", "warning", f"About {slack} bytes at the end belong to no member.", prefix)
