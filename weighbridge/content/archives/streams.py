"""Files as the readers need them: reads that cannot be made large by a header, and content decompressed piece by piece.

Not here: what is in an archive (zip_reader, tar_reader, compressed_reader), or what unpacking may cost (member_walk).
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

import brotli  # type: ignore[import-untyped]
from backports import zstd

#: Compressed bytes read at once.
_PIECE = 64 * 1024
#: The largest dictionary of an lzma stream in bytes: xz -9 needs 64 MiB.
_LZMA_MEMORY = 256 * 1024**2


class TooMuch(Exception):
    """A header requires more memory than any legitimate one."""


class Bounded:
    """A file of which only so many bytes are read, for parsers that read as many as a header says.

    Args:
        file: what is read.
        limit: bytes that may be read altogether.
    """

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self._limit, self._left = file, limit, limit

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes. Raises TooMuch when that makes more than the limit."""
        content = self._file.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise TooMuch(f"its headers have more than {self._limit} bytes")
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as the file would."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True


class Window:
    """Some bytes of a file from its present position on, as a file to read from."""

    def __init__(self, file: Readable, size: int) -> None:
        self._file, self.left = file, size

    def read(self, size: int) -> bytes:
        """Read up to `size` of the bytes left."""
        content = self._file.read(min(size, self.left))
        self.left -= len(content)
        return content


class Chunks:
    """Pieces of content as a stream to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk, self._start = b"", 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, and none at the end only."""
        if self._start == len(self._chunk):
            self._chunk, self._start = next(self._chunks, b""), 0
        content = self._chunk[self._start : self._start + size]
        self._start += len(content)
        return content


class Readable(Protocol):
    """What can be read piece by piece."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, and none at the end only."""
        ...


class Decompressor(Protocol):
    """One compressed stream being read, as `bz2.BZ2Decompressor` has it."""

    @property
    def eof(self) -> bool: ...  # noqa: D102
    @property
    def needs_input(self) -> bool: ...  # noqa: D102
    @property
    def unused_data(self) -> bytes: ...  # noqa: D102
    def decompress(self, data: bytes, max_length: int) -> bytes: ...  # noqa: D102


class Inflater:
    """zlib's decompressor with the interface of the others.

    Args:
        window_bits: -15 for raw deflate, 15 for zlib, 31 for gzip (`zlib.decompressobj`).
    """

    def __init__(self, window_bits: int) -> None:
        self._stream = zlib.decompressobj(window_bits)
        self._tail = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Return whether the stream's end was reached."""
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        """What was given after the stream's end."""
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Decompress up to `max_length` bytes."""
        content = self._stream.decompress(self._tail + data, max_length)
        self._tail = self._stream.unconsumed_tail
        self.needs_input = not self._tail and len(content) < max_length
        return content


class Unbrotli:
    """brotli's decompressor with the interface of the others; it takes no bytes after its stream's end for any."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self.unused_data = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Return whether the stream's end was reached."""
        return bool(self._stream.is_finished())

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return up to `max_length` decompressed bytes, or some more, as brotli returns whole blocks."""
        content = bytes(self._stream.process(data, output_buffer_limit=max_length))
        # Input that is used up may have more output than the limit let out.
        self.needs_input = self._stream.can_accept_more_data() and len(content) < max_length
        return content


@dataclass(frozen=True)
class Codec:
    """A format of compressed streams.

    Attributes:
        create: makes the decompressor of one stream.
        starts: how a further stream after the first may begin; empty when there can be none.
    """

    create: Callable[[], Decompressor]
    starts: tuple[bytes, ...] = ()


GZIP = Codec(lambda: Inflater(31), (b"\x1f\x8b",))
ZLIB = Codec(lambda: Inflater(15))
DEFLATE = Codec(lambda: Inflater(-15))
BZIP2 = Codec(bz2.BZ2Decompressor, (b"BZh",))
XZ = Codec(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY), (b"\xfd7zXZ\x00",))
LZMA_ALONE = Codec(lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY))
BROTLI = Codec(Unbrotli)
#: Frames and skippable frames: RFC 8878, section 3.1.
ZSTD = Codec(
    zstd.ZstdDecompressor, (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16)))
)


class Decompressed:
    """Content decompressed piece by piece; streams that follow one another count as one, as their tools read them.

    Args:
        source: the compressed bytes.
        codec: how they are compressed.

    Attributes:
        trailing: bytes after the end of the last stream that belong to none; whole once `read` returned nothing.
            Zeros do not count: tapes and sectors are padded with them.
        ERRORS: the exceptions of `read` for bytes that are not such a stream.
    """

    ERRORS = (zlib.error, OSError, ValueError, lzma.LZMAError, zstd.ZstdError, brotli.error)

    def __init__(self, source: Readable, codec: Codec) -> None:
        self._source, self._codec = source, codec
        self._stream = codec.create()
        self._pending = b""
        self._done = False
        self.trailing = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, and none at the end only.

        Raises:
            EOFError: the bytes end in the middle of a stream.
            One of `ERRORS`: they are not such a stream.
        """
        while not self._done:
            if self._stream.eof:
                self._next_stream()
                continue
            if self._stream.needs_input and not self._pending:
                self._pending = self._source.read(_PIECE)
                if not self._pending:
                    raise EOFError("it ends in the middle of a compressed stream")
            data, self._pending = self._pending, b""
            if content := self._stream.decompress(data, size):
                return content
        return b""

    def _next_stream(self) -> None:
        rest = self._stream.unused_data or self._source.read(_PIECE)
        while rest and not rest.strip(b"\0"):
            rest = self._source.read(_PIECE)
        rest = rest.lstrip(b"\0")
        if len(rest) < max(map(len, self._codec.starts), default=0):
            rest += self._source.read(_PIECE)
        if rest.startswith(self._codec.starts) and self._codec.starts:
            self._stream, self._pending = self._codec.create(), rest
            return
        self._done = True
        while rest:
            self.trailing += len(rest)
            rest = self._source.read(_PIECE)
