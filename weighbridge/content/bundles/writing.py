"""Writing a bundle as a stream: each blob is read once, hashed, compressed, and never held in memory.

Equal content gives equal bytes with one version of the zstd library. Not here: what goes into a bundle
(intake.bundling).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

from backports import zstd

from weighbridge.content.bundles.layout import END, INDEX, SIGNATURE, SIGNATURE_FORMAT, header, padding
from weighbridge.domain.bundle import BundleIndex, BundleMember, Signature, canonical
from weighbridge.domain.digest import Digest, Hasher
from weighbridge.domain.progress import Heard, unheard
from weighbridge.errors import IntegrityError, StoreError
from weighbridge.store.interface import BlobStore
from weighbridge.system import whole_files

_CHUNK = 1024**2
#: Fast, and weights hardly compress; the checksum at the end of the frame shows a damaged copy to any reader.
_OPTIONS: dict[int, int] = {zstd.CompressionParameter.compression_level: 3, zstd.CompressionParameter.checksum_flag: 1}


class _Output(Protocol):
    def write(self, content: bytes, /) -> int: ...


def write_bundle(
    target: Path,
    index: BundleIndex,
    signature: Signature | None,
    documents: Iterable[bytes],
    blobs: BlobStore,
    heard: Heard = unheard,
) -> int:
    """Write a bundle, which appears whole or not at all, and return its size in bytes.

    Args:
        target: the file.
        index: names everything in it.
        signature: of the index; None for an unsigned bundle.
        documents: the contents of the index's documents, in their order.
        blobs: the store that has the index's blobs.
        heard: receives the bytes of each blob as they are written.

    Raises:
        BlobMissing: a blob is not in the store.
        IntegrityError: a blob is damaged; it is set aside.
        StoreError: the file cannot be written.
    """
    try:
        with whole_files.replacing(target, durable=True) as file:
            _write(file, index, signature, documents, blobs, heard)
            return file.tell()
    except OSError as error:
        raise StoreError(
            f"The bundle {target} cannot be written: {error.strerror or error}.",
            "Name a file in a folder that this user may write to, on a disk with room for it.",
            path=str(target),
        ) from error


def _write(
    file: BinaryIO,
    index: BundleIndex,
    signature: Signature | None,
    documents: Iterable[bytes],
    blobs: BlobStore,
    heard: Heard,
) -> None:
    with zstd.ZstdFile(file, "w", options=_OPTIONS) as out:
        _add(out, INDEX, index.content)
        if signature is not None:
            _add(out, SIGNATURE, signature_content(signature))
        for member, content in zip(index.documents, documents, strict=True):
            _add(out, member.path, content)
        for member in index.blobs:
            _copy(out, member, blobs, heard)
        out.write(END)


def signature_content(signature: Signature) -> bytes:
    """Return the content of a bundle's signature."""
    value = base64.b64encode(signature.value).decode()
    return canonical({"format": SIGNATURE_FORMAT, "key": signature.key, "signature": value})


def document_of(path: str, content: bytes) -> BundleMember:
    """Return the index's entry of a document."""
    return BundleMember(path, len(content), Digest.sha256(content))


def _add(out: _Output, path: str, content: bytes) -> None:
    out.write(header(path, len(content)))
    out.write(content)
    out.write(padding(len(content)))


def _copy(out: _Output, member: BundleMember, blobs: BlobStore, heard: Heard) -> None:
    out.write(header(member.path, member.size))
    hasher, size = Hasher(), 0
    with blobs.open(member.digest) as blob:
        while chunk := blob.read(_CHUNK):
            hasher.update(chunk)
            size += len(chunk)
            out.write(chunk)
            heard(len(chunk))
    if (size, hasher.digests["sha256"]) != (member.size, member.digest):
        blobs.prove(member.digest)  # It sets a damaged blob aside, and says what to do.
        raise IntegrityError(
            f"The blob {member.digest} was changed while it was read.", "Run the same command again.", blob=member.path
        )
    out.write(padding(size))
