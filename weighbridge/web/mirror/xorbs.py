"""Files as the Xet protocol has them: chunks behind headers in xorbs, laid out while they are read, and stored nowhere.

A file of the store is cut into chunks of one size, without compression, and every 500 of them are a xorb. The names of
files and xorbs are sha256 of what they hold, where Xet's own storage has hashes of another kind; clients look nothing
up by them but what this mirror names. Not here: who may have a file (intake.mirroring), and requests (web.mirror.xet).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from weighbridge.intake.mirrored_files import OpenBytes

#: Bytes of a chunk; the protocol allows no more.
CHUNK = 128 * 1024
_HEADER = 8
#: Chunks of a xorb: with them it is smaller than the protocol's 64 MiB.
_CHUNKS = 500
_SPAN = CHUNK * _CHUNKS


@dataclass(frozen=True)
class Xorb:
    """A part of a file, as chunks.

    Attributes:
        file: the sha256 of the file, in hexadecimal.
        number: of the part, from 0.
        start: its first byte in the file.
        stop: the byte after its last one.
    """

    file: str
    number: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """What clients call it: 64 hexadecimal digits that depend on its bytes alone."""
        return sha256(f"{self.file} {self.number}".encode()).hexdigest()

    @property
    def chunks(self) -> int:
        """How many chunks it has."""
        return -(-(self.stop - self.start) // CHUNK)

    @property
    def size(self) -> int:
        """Its bytes with the headers."""
        return self.stop - self.start + _HEADER * self.chunks

    def place(self, chunk: int) -> int:
        """Return where the header of a chunk is, also of one after the last."""
        return min(chunk * (CHUNK + _HEADER), self.size)


def xorb_of(file: str, size: int, number: int) -> Xorb | None:
    """Return a part of a file of that many bytes; None where it has fewer parts."""
    start = number * _SPAN
    return Xorb(file, number, start, min(start + _SPAN, size)) if start < size else None


def reconstruction(
    file: str, size: int, start: int, stop: int, version: Literal[1, 2], url_of: Callable[[Xorb], str]
) -> dict[str, Any]:
    """Return which chunks have the bytes of a file from `start` to before `stop`, and where they are.

    Args:
        file: the sha256 of the file, in hexadecimal.
        size: its bytes.
        start: the first byte that is asked for.
        stop: the byte after the last one.
        version: of the protocol.
        url_of: returns the address of a xorb.
    """
    terms, places = [], {}
    for number in range(start // _SPAN, -(-stop // _SPAN)):
        xorb = xorb_of(file, size, number)
        assert xorb is not None, "the range is in the file"
        first = max(0, start - xorb.start) // CHUNK
        end = -(-(min(stop, xorb.stop) - xorb.start) // CHUNK)
        length = min(xorb.start + end * CHUNK, xorb.stop) - (xorb.start + first * CHUNK)
        chunks = {"start": first, "end": end}
        terms.append({"hash": xorb.name, "unpacked_length": length, "range": chunks})
        bytes_ = {"start": xorb.place(first), "end": xorb.place(end) - 1}
        url = url_of(xorb)
        places[xorb.name] = [
            {"url": url, "range": chunks, "url_range": bytes_}
            if version == 1
            else {"url": url, "ranges": [{"chunks": chunks, "bytes": bytes_}]}
        ]
    found = {"offset_into_first_range": start % CHUNK, "terms": terms}
    return found | {"fetch_info" if version == 1 else "xorbs": places}


class XorbBytes:
    """The bytes of a xorb, made of a blob that is being read.

    Args:
        blob: the file.
        xorb: which part of it.

    Attributes:
        size: bytes.
    """

    def __init__(self, blob: OpenBytes, xorb: Xorb) -> None:
        self._blob, self._xorb = blob, xorb
        self.size = xorb.size

    def close(self) -> None:
        """Close the blob."""
        self._blob.close()

    def in_file(self) -> None:
        """Return None: headers are between the bytes of the file."""

    def whole(self) -> Iterator[bytes]:
        """Yield all bytes. Raises IntegrityError where the blob turns out damaged."""
        return self.part(0, self.size)

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`. Raises IntegrityError where the blob turns out damaged."""
        position = start
        while position < stop:
            chunk, skipped = divmod(position, CHUNK + _HEADER)
            first = self._xorb.start + chunk * CHUNK
            end = min(first + CHUNK, self._xorb.stop)
            wanted = min(stop - position, _HEADER + end - first - skipped)
            header = _header(end - first)[skipped : skipped + wanted]
            at = first + max(0, skipped - _HEADER)
            piece = header + b"".join(self._blob.part(at, at + wanted - len(header)))
            yield piece
            position += len(piece)


def _header(size: int) -> bytes:
    """Return the header of a chunk that is not compressed: version, size, scheme and size again."""
    length = size.to_bytes(3, "little")
    return b"\0" + length + b"\0" + length
