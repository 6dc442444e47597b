"""Protocol-buffer messages without their bulk: a copy of a message in which long contents are left out, unread.

An ONNX file may hold gigabytes of weights inside of one message; a reader of the whole would need twice that memory.
What is left after this walk is small, valid, and read by the format's own library. Which fields exist comes from that
library's descriptors. Formats without one here are walked field by field (`fields`).
Wire format: https://protobuf.dev/programming-guides/encoding/. Not here: any meaning (onnx, tensorflow).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

#: Contents of at most this many bytes are copied as they are.
SHORT = 1024
#: Texts and bytes up to this length are kept.
MAX_TEXT_SIZE = 1024 * 1024
#: Bytes of the copy.
MAX_COPY_SIZE = 256 * 1024 * 1024
MAX_DEPTH = 64
_VARINT, _FIXED64, _LENGTH, _GROUP_BEGIN, _GROUP_END, _FIXED32 = 0, 1, 2, 3, 4, 5


class Malformed(ValueError):
    """The bytes are not such a message; the text has the reason."""


class Stripper:
    """Copies one message without its bulk.

    Args:
        file: seekable.
        bulk: full names of the fields that hold tensors, such as `onnx.TensorProto.raw_data`.
        note: what is put where such a field's content of that many bytes is left out: an encoded field, or nothing.

    Attributes:
        read: bytes that were really read.
        dropped: bytes left out, by the field's full name.
        unknown: bytes of fields that the descriptors do not know.
    """

    def __init__(self, file: BinaryIO, bulk: frozenset[str], note: Callable[[str, int], bytes]) -> None:
        self._file, self._bulk, self._note = file, bulk, note
        self._copied = 0
        self.read = 0
        self.dropped: Counter[str] = Counter()
        self.unknown = 0

    def strip(self, descriptor: Any, size: int, depth: int = 0) -> bytes:
        """Return the copy of the message of `size` bytes that begins at the file's position.

        Raises:
            Malformed: the bytes are not such a message, or it is nested or large beyond the limits.
        """
        if depth > MAX_DEPTH:
            raise Malformed(f"it is nested deeper than {MAX_DEPTH} messages")
        fields = descriptor.fields_by_number
        end = self._file.tell() + size
        parts: list[bytes] = []
        while (at := self._file.tell()) < end:
            tag = self._varint(end - at)
            number, wire = tag >> 3, tag & 7
            if number == 0 or number >= 2**29:
                raise Malformed(f"it has a field of the number {number}")
            if wire == _LENGTH:
                length = self._varint(end - self._file.tell())
                if length > end - self._file.tell():
                    raise Malformed("a field ends after its message does")
                parts += self._content(fields.get(number), tag, length, depth)
            else:
                parts += (encode(tag), self._scalar(wire, end))
        if self._file.tell() != end:
            raise Malformed("a field ends after its message does")
        return b"".join(parts)

    def _content(self, field: Any, tag: int, length: int, depth: int) -> tuple[bytes, ...]:
        """Return what stands in the copy for a field of wire type 2: tag, length and content, or less."""
        if field is not None and length <= SHORT:
            return encode(tag), encode(length), self._take(length)
        if field is not None and field.message_type is not None:
            content = self.strip(field.message_type, length, depth + 1)
            return encode(tag), encode(len(content)), content
        if field is not None and field.full_name not in self._bulk and length <= MAX_TEXT_SIZE:
            return encode(tag), encode(length), self._take(length)
        self._file.seek(length, 1)
        if field is None:
            self.unknown += length
            return ()
        self.dropped[field.full_name] += length
        return (self._note(field.full_name, length),)

    def _scalar(self, wire: int, end: int) -> bytes:
        if wire == _VARINT:
            return encode(self._varint(end - self._file.tell()))
        if wire in (_FIXED64, _FIXED32):
            return self._take(8 if wire == _FIXED64 else 4)
        raise Malformed(f"it has a field of the wire type {wire}")

    def _varint(self, left: int) -> int:
        value = 0
        for index in range(min(left, 10)):
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & (2**64 - 1)
        raise Malformed("it ends inside a number, or a number is too long")

    def _take(self, length: int) -> bytes:
        self._copied += length
        if self._copied > MAX_COPY_SIZE:
            raise Malformed(f"without its tensors it is larger than {MAX_COPY_SIZE:,} bytes")
        content = self._file.read(length)
        if len(content) < length:
            raise Malformed("the file ends inside a field")
        self.read += length
        return content


def encode(value: int) -> bytes:
    """Return a number as a varint."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of one message in order: a number, and a varint or the content of a length-delimited field.

    Fields of fixed width are skipped, and so are groups, as readers do with what they do not know.

    Raises:
        Malformed: the bytes are not a message.
    """
    at, end, groups = 0, len(message), 0
    while at < end:
        tag, at = varint_at(message, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise Malformed("it has a field of the number 0")
        if wire == _VARINT:
            value, at = varint_at(message, at)
            if not groups:
                yield number, value
        elif wire == _LENGTH:
            length, at = varint_at(message, at)
            if length > end - at:
                raise Malformed("a field ends after its message does")
            if not groups:
                yield number, message[at : at + length]
            at += length
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        elif wire in (_GROUP_BEGIN, _GROUP_END):
            groups += 1 if wire == _GROUP_BEGIN else -1
        else:
            raise Malformed(f"it has a field of the wire type {wire}")
        if at > end or not 0 <= groups <= MAX_DEPTH:
            raise Malformed("a field or a group does not end within its message")
    if groups:
        raise Malformed("a group does not end")


def varint_at(message: memoryview, at: int) -> tuple[int, int]:
    """Return the varint at an offset, and the offset after it. Raises Malformed."""
    if at < len(message) and message[at] < 0x80:
        return message[at], at + 1
    value = 0
    for index, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & (2**64 - 1), at + index + 1
    raise Malformed("it ends inside a number, or a number is too long")
