"""Reading a bundle once, from its beginning to its end, in bounded memory, with every byte accounted for.

The index names each following file with size and sha256, so that nothing else is read: no file more, none less, none
longer. Not here: what the documents say (bundles.documents), and what is done with it (intake.unbundling).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from backports import zstd

from weighbridge.content.archives.streams import ZSTD, Codec, Decompressed, Readable
from weighbridge.content.bundles.documents import read_index, read_signature
from weighbridge.content.bundles.layout import (
    BLOCK,
    END,
    INDEX,
    MAX_INDEX,
    MAX_SIGNATURE,
    SIGNATURE,
    header,
    padding,
    path_in,
    size_in,
)
from weighbridge.domain.bundle import BundleIndex, BundleMember, Signature
from weighbridge.domain.digest import Hasher
from weighbridge.domain.text import shown
from weighbridge.errors import IntegrityError, SourceUnavailable, UsageError

_CHUNK = 1024**2
#: How the bytes begin that Zstandard compressed.
_MAGIC = b"\x28\xb5\x2f\xfd"
#: The largest window of a frame, as a power of two: what is written here needs 2 MiB.
_WINDOW = 23
_CODEC = Codec(
    lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW}), ZSTD.starts
)
_AGAIN = "Nothing was imported. Copy the file again, and compare its sha256 with that of the original."
_ORIGINAL = "Bring the file that `weighbridge bundle` wrote, as it was."


class BundleReader:
    """A bundle that is being read: its index, then each file of it in order, then its end.

    Args:
        file: the bundle.
        name: what messages call it.

    Attributes:
        index: what the bundle has.
        signature: that of the index, not verified here; None where there is none.

    Raises:
        UsageError: it is no bundle, or one of another format.
        IntegrityError: it is damaged, cut, or not as the index says.
        SourceUnavailable: the file cannot be read.
    """

    def __init__(self, file: Readable, name: str) -> None:
        self._name = name
        self._content = Decompressed(self._begun(file), _CODEC)
        block = self._exactly(BLOCK)
        self._require_index(block)
        content = self._small(block, INDEX, MAX_INDEX)
        self.index: BundleIndex = read_index(content, name)
        if (
            self.index.content != content
        ):  # Other programs could read another one in it, as of a key that is there twice.
            self._refuse("has an index that is not in its one form")
        self.signature: Signature | None = None
        self._next = self._exactly(BLOCK)
        if path_in(self._next) == SIGNATURE:
            self.signature = read_signature(self._small(self._next, SIGNATURE, MAX_SIGNATURE), name)
            self._next = self._exactly(BLOCK)
        self._left = iter(self.index.members)

    def read(self) -> bytes:
        """Return the content of the next file, whole: for documents."""
        return b"".join(self.chunks(next(self._left)))

    def blobs(self) -> Iterator[tuple[BundleMember, Iterator[bytes]]]:
        """Yield the files that are left, each with its content in pieces, which has to be read before the next."""
        for member in self._left:
            yield member, self.chunks(member)

    def chunks(self, member: BundleMember) -> Iterator[bytes]:
        """Yield the content of a file, the next one of the index, in pieces.

        Raises:
            IntegrityError: another file is there, or its content is not what the index promises.
        """
        if self._next != header(member.path, member.size):
            self._refuse(
                f"has {_described(self._next)} where its index promises {member.path} with {member.size} bytes"
            )
        hasher, left = Hasher(), member.size
        while left:
            chunk = self._some(min(left, _CHUNK))
            hasher.update(chunk)
            left -= len(chunk)
            yield chunk
        if hasher.digests["sha256"] != member.digest:
            self._refuse(f"has other bytes in {member.path} than its index promises")
        if self._exactly(-member.size % BLOCK) != padding(member.size):
            self._refuse(f"has bytes after the end of {member.path}")
        self._next = self._exactly(BLOCK)

    def finish(self) -> None:
        """Read the end of the bundle. Raises IntegrityError where anything else is there."""
        if self._next + self._exactly(len(END) - BLOCK) != END:
            self._refuse(f"has {_described(self._next)}, which its index does not name")
        with self._damage():
            more = self._content.read(1)
        if more or self._content.trailing:
            self._refuse("goes on after its end")

    def _begun(self, file: Readable) -> Readable:
        with self._damage():
            start = file.read(len(_MAGIC))
        if start != _MAGIC:
            raise UsageError(
                f"The file {self._name} is not a bundle: it is not compressed with Zstandard.",
                f"{_ORIGINAL} A bundle that was unpacked or compressed anew is not taken.",
            )
        return _Rejoined(start, file)

    def _require_index(self, block: bytes) -> None:
        found = path_in(block)
        if found == INDEX:
            return
        if found.rstrip("/").removeprefix("./") in ("", ".", INDEX, "versions", "blobs", SIGNATURE):
            raise UsageError(f"The bundle {self._name} was packed anew, with other headers.", _ORIGINAL)
        raise UsageError(
            f"The file {self._name} is not a bundle: its first file is {shown(found, 80)!r}, not {INDEX}.", _ORIGINAL
        )

    def _small(self, block: bytes, path: str, limit: int) -> bytes:
        """Return the content of a file whose size only its header says."""
        size = size_in(block)
        if not 0 < size <= limit or block != header(path, size):
            self._refuse(f"has a header of {path} that no bundle has")
        content = self._exactly(size)
        if self._exactly(-size % BLOCK) != padding(size):
            self._refuse(f"has bytes after the end of {path}")
        return content

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            parts.append(self._some(size))
            size -= len(parts[-1])
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        with self._damage():
            content = self._content.read(size)
        if not content:
            self._refuse("ends too early")
        return content

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except EOFError as error:
            raise self._refusal("ends too early: a part of it is missing") from error
        except OSError as error:
            raise SourceUnavailable(
                f"The bundle {self._name} cannot be read: {error.strerror or error}.", "Check the disk that it is on."
            ) from error
        except Decompressed.ERRORS as error:
            raise self._refusal(f"is damaged: {error}") from error

    def _refuse(self, what: str) -> NoReturn:
        raise self._refusal(what)

    def _refusal(self, what: str) -> IntegrityError:
        return IntegrityError(f"The bundle {self._name} {what}.", _AGAIN, bundle=self._name)


class _Rejoined:
    """A stream of which the first bytes were read already."""

    def __init__(self, start: bytes, file: Readable) -> None:
        self._start, self._file = start, file

    def read(self, size: int, /) -> bytes:
        start, self._start = self._start, b""
        return start or self._file.read(size)


def _described(block: bytes) -> str:
    return f"the file {shown(path_in(block), 100)!r}" if block.strip(b"\0") else "its end"
