"""The Nix archive (NAR) of a model's tree, and its sha256: what Nix calls the hash of a path.

The format is Nix's own: E. Dolstra, “The Purely Functional Software Deployment Model” (PhD thesis, Utrecht, 2006),
figure 5.2, and the Nix manual's “Nix Archive (NAR) Format”. The tree is the folder that an export writes: regular
files, none of them executable, and their folders. Not here: what the digest is compared with (intake.steps).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from itertools import takewhile

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.progress import Progress, Silent
from weighbridge.errors import StoreError
from weighbridge.store.interface import BlobStore

_CHUNK = 4 * 1024 * 1024


def nar_digest(manifest: Manifest, blobs: BlobStore, progress: Progress | None = None) -> Digest:
    """Return the sha256 of the archive of a computed manifest's files; every blob is read once.

    Raises:
        BlobMissing: a file is not in the store.
        StoreError: a blob no longer has its size.
    """
    progress = progress or Silent()
    progress.expect("hash", manifest.size)
    hasher = hashlib.sha256()
    for chunk in archive(manifest, blobs):
        hasher.update(chunk)
        progress.advance("hash", len(chunk))
    return Digest("sha256", hasher.hexdigest())


def archive(manifest: Manifest, blobs: BlobStore) -> Iterator[bytes]:
    """Yield the archive of a computed manifest's files, in pieces of a few MiB.

    Nix sorts the names of each folder bytewise, and not whole paths: `a/b` comes before `a.txt`.

    Raises:
        BlobMissing, StoreError: as `nar_digest`.
    """
    yield _strings(b"nix-archive-1", b"(", b"type", b"directory")
    inside: list[bytes] = []
    for entry in sorted(manifest.files, key=_names):
        *folders, name = _names(entry)
        shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(inside, folders, strict=False))))
        yield _strings(b")", b")") * (len(inside) - shared)
        for folder in folders[shared:]:
            yield _strings(b"entry", b"(", b"name", folder, b"node", b"(", b"type", b"directory")
        yield _strings(b"entry", b"(", b"name", name, b"node", b"(", b"type", b"regular", b"contents")
        yield from _content(entry, blobs)
        yield _strings(b")", b")")
        inside = folders
    yield _strings(b")", b")") * len(inside) + _strings(b")")


def _names(entry: FileEntry) -> list[bytes]:
    return entry.path.encode().split(b"/")


def _content(entry: FileEntry, blobs: BlobStore) -> Iterator[bytes]:
    """Yield a file's bytes as a string of the format: its length is written before they are read."""
    assert entry.digest is not None
    assert entry.size is not None
    yield struct.pack("<Q", entry.size)
    size = 0
    with blobs.open(entry.digest) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            yield chunk
    if size != entry.size:
        raise StoreError(
            f"The blob of {entry.path} has {size} bytes in place of {entry.size}.",
            "It is damaged: run `weighbridge fsck`.",
            path=entry.path,
            expected=entry.size,
            actual=size,
        )
    yield bytes(-size % 8)


def _strings(*values: bytes) -> bytes:
    """Return strings of the format: the length in 64 bits, little-endian, and the bytes, padded with zeros to 8."""
    return b"".join(struct.pack("<Q", len(value)) + value + bytes(-len(value) % 8) for value in values)
