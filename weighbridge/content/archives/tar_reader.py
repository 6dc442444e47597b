"""Tar archives, read member by member from front to back; links and devices are problems, not members.

`tarfile` reads each header's block; the data between them are read here, strictly: its own loop takes hours or all
memory over some extended headers, turns back at sizes below zero, and stops without a word at a broken header, where
other programs go on. Format: POSIX.1-2017, pax, and GNU's long names.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator

from weighbridge.content.archives.links import Links
from weighbridge.content.archives.member_walk import CHUNK_SIZE, Member, Names, Walk
from weighbridge.content.archives.streams import Readable, TooMuch, Window

#: Bytes of the extended headers of one member.
_MAX_HEADERS = 4 * CHUNK_SIZE
_PAX = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE}
_LONG = {tarfile.GNUTYPE_LONGNAME: b"path", tarfile.GNUTYPE_LONGLINK: b"linkpath"}
_NUMBER = re.compile(rb"[0-9]{1,18}")

_SPARSE, _SPARSE_NAME = b"GNU.sparse", b"GNU.sparse.name"
_KEYWORDS = {b"path", b"linkpath", b"size"}

Records = dict[bytes, bytes]


def read(walk: Walk, file: Readable, prefix: str, depth: int) -> Iterator[Member]:
    """Yield the files of a tar archive; `file` need not be one that seeks."""
    names, links = Names(walk, prefix), Links(walk, prefix)
    archive = _Archive(file)
    try:
        while (info := archive.next()) is not None:
            name = names.judge(info.name, folder=info.isdir())
            location = walk.location(prefix, info.name)
            if info.issym() or info.islnk():
                links.add(name, info.linkname, hard=info.islnk())
                if info.islnk() and (target := names.earlier(info.linkname, name)):
                    walk.hard_links[name] = walk.hard_links.get(target, target)
            elif info.isdev():
                walk.problem("archive.device", "error", "The member is a device or a pipe.", location)
            elif archive.sparse:
                text = "It is not read, as programs differ in how they fill the holes of a sparse member."
                walk.problem("archive.sparse", "warning", text, walk.location(prefix, archive.sparse), unread=True)
            elif info.isreg():
                links.pass_through(name)
                yield from walk.member(name, archive.content, prefix, depth)
            elif not info.isdir():
                text = f"The member is of the unknown type {info.type!r}."
                walk.problem("archive.unsupported", "warning", text, location, unread=True)
    except tarfile.HeaderError:
        _hidden(walk, prefix)
        return
    finally:
        links.finish()
    _judge_end(walk, archive, file, prefix)


class _Archive:
    """The headers of a tar, each with what its extended headers say.

    Attributes:
        content: of the member that `next` returned.
        sparse: that member's name where it is stored without its holes, else empty.
        ended: whether the block of zeros was read that ends an archive.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._shared: Records = {}
        self.content = _Whole(file, 0)
        self.sparse = ""
        self.ended = False

    def next(self) -> tarfile.TarInfo | None:
        """Return the next member, or None at the end.

        Raises:
            tarfile.HeaderError: the next block is not a header.
            tarfile.ReadError: it ends too early, or an extended header cannot be read.
            TooMuch: its extended headers are too long.
        """
        self.content.skip()
        own: Records = {}
        left = _MAX_HEADERS
        while (block := self._block()) is not None:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if info.size < 0:
                raise tarfile.ReadError("a member's size is below zero")
            if info.type not in _PAX and info.type not in _LONG:
                return self._member(info, own)
            left -= tarfile.BLOCKSIZE + info.size
            if left < 0:
                raise TooMuch(f"its headers have more than {_MAX_HEADERS} bytes")
            header = _Whole(self._file, info.size)
            text = b"".join(iter(lambda: header.read(CHUNK_SIZE), b""))  # noqa: B023 (used up at once)
            header.skip()
            if info.type in _LONG:
                own[_LONG[info.type]] = text.partition(b"\0")[0]
            elif info.type == tarfile.XGLTYPE:
                self._shared |= _records(text)
            else:
                own |= _records(text)
        if own:
            raise tarfile.ReadError("it ends after an extended header")
        return None

    def _block(self) -> bytes | None:
        """Return the next block, or None at the end of the archive."""
        block = b""
        while len(block) < tarfile.BLOCKSIZE and (chunk := self._file.read(tarfile.BLOCKSIZE - len(block))):
            block += chunk
        if 0 < len(block) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it ends in the middle of a header")
        self.ended = bool(block) and not block.strip(b"\0")
        return block if block and not self.ended else None

    def _member(self, info: tarfile.TarInfo, own: Records) -> tarfile.TarInfo:
        said = self._shared | own
        if b"path" in said:
            info.name = said[b"path"].decode("utf-8", "surrogateescape")
        if b"linkpath" in said:
            info.linkname = said[b"linkpath"].decode("utf-8", "surrogateescape")
        if b"size" in said:
            if not _NUMBER.fullmatch(said[b"size"]):
                raise tarfile.ReadError("a member's size is no number")
            info.size = int(said[b"size"])
        sparse = info.type == tarfile.GNUTYPE_SPARSE or _SPARSE in said
        # Where its content begins with a map of the pieces, pax has given the header a name of its own making.
        self.sparse = (said.get(_SPARSE, b"").decode("utf-8", "surrogateescape") or info.name) if sparse else ""
        # Links, folders and devices have no content, whatever size they state.
        empty = info.issym() or info.islnk() or info.isdir() or info.isdev()
        self.content = _Whole(self._file, 0 if empty else info.size)
        return info


def _records(content: bytes) -> Records:
    """Read pax records, `LENGTH KEYWORD=VALUE` and a newline each, and keep those of `_KEYWORDS` and `_SPARSE`.

    Raises:
        tarfile.ReadError: one of them is invalid.
    """
    found: Records = {}
    start = 0
    while start < len(content):
        length, space, _ = content[start : start + 20].partition(b" ")
        end = start + int(length) if _NUMBER.fullmatch(length) else 0
        keyword, equals, value = content[start + len(length) + 1 : end - 1].partition(b"=")
        if not space or not equals or end > len(content) or content[end - 1 : end] != b"\n":
            raise tarfile.ReadError("an extended header cannot be read")
        if keyword in _KEYWORDS:
            found[keyword] = value
        elif keyword.startswith(_SPARSE):
            found[_SPARSE] = value if keyword == _SPARSE_NAME else found.get(_SPARSE, b"")
        start = end
    return found


class _Whole(Window):
    """The bytes of a member or header, which must all be there."""

    def __init__(self, file: Readable, size: int) -> None:
        super().__init__(file, size)
        self._padding = -size % tarfile.BLOCKSIZE

    def read(self, size: int) -> bytes:
        content = super().read(size)
        if not content and self.left:
            raise tarfile.ReadError("unexpected end of data")
        return content

    def skip(self) -> None:
        """Read what is left, and on to the next block."""
        self.left, self._padding = self.left + self._padding, 0
        while self.read(CHUNK_SIZE):
            pass


def _judge_end(walk: Walk, archive: _Archive, file: Readable, prefix: str) -> None:
    hidden = False
    while chunk := file.read(CHUNK_SIZE):
        hidden = hidden or bool(chunk.strip(b"\0"))
    if hidden:
        _hidden(walk, prefix)
    elif not archive.ended:
        walk.problem("archive.malformed", "warning", "It ends without an end: it may have been cut.", prefix)


def _hidden(walk: Walk, prefix: str) -> None:
    text = "What follows its last member is neither a member nor its end."
    walk.problem("archive.hidden-data", "error", text, prefix, unread=True)
