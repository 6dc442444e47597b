"""Single compressed streams: gzip, bzip2, xz, zstd. Each is an archive of one member, named after the file."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator
from typing import IO, cast

from backports import zstd

from weighbridge.archives.walking import Member, Walk


def read_gzip(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the content of a gzip stream; its checksum is compared at the end."""
    with gzip.GzipFile(fileobj=file, mode="rb") as stream:
        yield from walk.member(_inner_name(prefix, ".gz"), cast("IO[bytes]", stream), prefix, depth)


def read_bzip2(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the content of a bzip2 stream; its checksums are compared on the way."""
    with bz2.BZ2File(file) as stream:
        yield from walk.member(_inner_name(prefix, ".bz2"), cast("IO[bytes]", stream), prefix, depth)


def read_xz(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the content of an xz stream; its checksums are compared on the way."""
    with lzma.LZMAFile(file) as stream:
        yield from walk.member(_inner_name(prefix, ".xz"), cast("IO[bytes]", stream), prefix, depth)


def read_zstd(walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
    """Yield the content of a zstd stream (RFC 8878)."""
    with zstd.ZstdFile(file) as stream:
        yield from walk.member(_inner_name(prefix, ".zst"), cast("IO[bytes]", stream), prefix, depth)


def _inner_name(prefix: str, suffix: str) -> str:
    last = prefix.rsplit("!", 1)[-1].rsplit("/", 1)[-1].removesuffix(suffix)
    return last or "content"
