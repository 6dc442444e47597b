"""The layout of a bundle: its files' names and order, and the one tar header that each of them may have.

Every byte of a bundle follows from its content, so that a reader compares headers with those that it would write, and
needs no rule about links, devices, names that climb, sparse files or anything else that tar can say. Plain `tar --zstd`
reads it all the same. Not here: reading (bundles.reading) and writing (bundles.writing).
"""

from __future__ import annotations

import tarfile

from weighbridge.domain.digest import Digest

#: The first file, and the one after it, which only a signed bundle has.
INDEX, SIGNATURE = "weighbridge-bundle.json", "weighbridge-bundle.sig"
#: How the signature's own format is called.
SIGNATURE_FORMAT = "weighbridge.bundle-signature/1"
#: Bytes of a tar block; each file begins at the start of one.
BLOCK = 512
#: What follows the last file: two blocks of zeros.
END = bytes(2 * BLOCK)
#: The most bytes of an index, a signature, a document, and of all documents of a bundle, which are held in memory.
MAX_INDEX, MAX_SIGNATURE, MAX_DOCUMENT, MAX_DOCUMENTS = 64 * 1024**2, 4096, 128 * 1024**2, 512 * 1024**2


def document_path(number: int) -> str:
    """Return the path of the document of a bundle's version, which are counted from 1."""
    return f"versions/{number:04}.json"


def blob_path(digest: Digest) -> str:
    """Return the path of a blob."""
    return f"blobs/sha256/{digest.hex}"


def header(path: str, size: int) -> bytes:
    """Return the tar header of a file; sizes beyond 8 GiB are written as GNU tar does."""
    member = tarfile.TarInfo(path)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """Return the zeros between the end of a file of a size and the next block."""
    return bytes(-size % BLOCK)


def path_in(block: bytes) -> str:
    """Return the path that a tar header has, for a message."""
    return block[:100].split(b"\0", 1)[0].decode("utf-8", "replace")


def size_in(block: bytes) -> int:
    """Return the size that a tar header of a small file has; -1 where it has none."""
    digits = block[124:136].rstrip(b"\0 ")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else -1
