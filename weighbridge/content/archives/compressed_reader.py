"""Single compressed streams: gzip, bzip2, xz, zstd, lzma, zlib, brotli. Each is an archive of one member."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from weighbridge.content.archives import streams
from weighbridge.content.archives.member_walk import Member, Reader, Walk
from weighbridge.content.archives.streams import Codec, Decompressed


def _reader(codec: Codec, suffix: str) -> Reader:
    def read(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
        content = Decompressed(file, codec)
        walk.count_member()
        yield from walk.compressed(_inner_name(prefix, suffix), content, prefix, depth)
        if content.trailing:
            text = f"{content.trailing} bytes after the compressed content belong to none of it."
            walk.problem("archive.hidden-data", "warning", text, prefix, unread=True)

    return read


def _inner_name(prefix: str, suffix: str) -> str:
    last = prefix.rsplit("!", 1)[-1].rsplit("/", 1)[-1].removesuffix(suffix)
    return last or "content"


#: Their own checksums are compared while they are read.
READERS: dict[str, Reader] = {
    "gzip": _reader(streams.GZIP, ".gz"),
    "bzip2": _reader(streams.BZIP2, ".bz2"),
    "xz": _reader(streams.XZ, ".xz"),
    "zstd": _reader(streams.ZSTD, ".zst"),
    "lzma": _reader(streams.LZMA_ALONE, ".lzma"),
    "zlib": _reader(streams.ZLIB, ".zlib"),
    "brotli": _reader(streams.BROTLI, ".br"),
}
