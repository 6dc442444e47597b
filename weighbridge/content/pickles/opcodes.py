"""A pickle's opcodes, read one by one; long arguments are skipped, so memory stays bounded for every pickle.

Codes and layouts are the standard library's own table (`pickletools.opcodes`). Not here: what they do (machine).
"""

from __future__ import annotations

import codecs
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Literal

#: Of the protocols that unpicklers read; whichever Python runs Weighbridge.
HIGHEST_PROTOCOL = 5
#: Bytes of an argument above which it is skipped: no name of a module is longer.
MAX_ARGUMENT = 64 * 1024
_PIECE = 1024 * 1024

Argument = str | int | None


@dataclass(frozen=True)
class Opcode:
    """One row of the table.

    Attributes:
        name: as in `pickletools`.
        layout: of the argument: `none`, `line`, two `lines`, a `number` of fixed size, or `counted` bytes.
        size: bytes of the number or of the count.
        signed: whether the number, or the count, has a sign.
        text: whether the argument is text that may name a module.
        pops: values taken from the stack, below the mark when there is one.
        to_mark: whether everything above the topmost mark, and the mark, is taken first.
        pushes: values put on the stack.
    """

    name: str
    layout: Literal["none", "line", "lines", "number", "counted"]
    size: int
    signed: bool
    text: bool
    pops: int
    to_mark: bool
    pushes: int


@dataclass(frozen=True)
class Read:
    """An opcode in a pickle.

    Attributes:
        opcode: its row.
        argument: text of lines and strings, a number, or None for bytes and what was too long to keep.
        raw: its bytes; for a long argument those of the same opcode with an empty one.
    """

    opcode: Opcode
    argument: Argument
    raw: bytes


def _row(info: pickletools.OpcodeInfo) -> Opcode:
    before = list(info.stack_before)
    to_mark = pickletools.markobject in before
    pops = before.index(pickletools.markobject) if to_mark else len(before)
    size = info.arg.n if info.arg else 0
    layout: Literal["none", "line", "lines", "number", "counted"] = "none"
    if info.name in ("GLOBAL", "INST"):
        layout = "lines"
    elif size == pickletools.UP_TO_NEWLINE:
        layout = "line"
    elif size > 0:
        layout = "number"
    elif size < 0:
        layout, size = "counted", _COUNTS[size]
    signed = bool(info.arg) and info.arg is not None and info.arg.name in ("int4", "string4", "long4")
    text = "UNICODE" in info.name or "STRING" in info.name
    return Opcode(info.name, layout, max(size, 0), signed, text, pops, to_mark, len(info.stack_after))


_COUNTS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
TABLE = {info.code.encode("latin-1"): _row(info) for info in pickletools.opcodes}
#: The same opcodes with an empty argument.
_EMPTY = {"STRING": b"S''\n", "UNICODE": b"V\n", "INT": b"I0\n", "LONG": b"L0L\n", "FLOAT": b"F0\n", "PERSID": b"P\n"}
#: What any unpickler takes for an integer in digits.
_INTEGER = re.compile(rb"\s*[+-]?(0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*)L?\s*")
#: Letters kept of a global's name that is too long for any one attribute.
_KEPT_NAME = 256


def read(file: IO[bytes], left: int) -> Read:
    """Read the opcode at the file's position.

    Args:
        file: at an opcode.
        left: bytes from there to the end.

    Raises:
        EOFError: there is none.
        ValueError: the byte is not an opcode, or its argument is invalid.
    """
    code = file.read(1)
    opcode = TABLE.get(code)
    if opcode is None:
        if not code:
            raise EOFError("it ends without STOP")
        raise ValueError(f"byte {code[0]:#04x} is no opcode")
    return _READERS[opcode.layout](opcode, code, file, left - 1)


def _read_none(opcode: Opcode, code: bytes, file: IO[bytes], left: int) -> Read:
    return Read(opcode, None, code)


def _read_number(opcode: Opcode, code: bytes, file: IO[bytes], left: int) -> Read:
    raw = _exactly(file, opcode.size)
    # The value of a float is never used.
    number = int.from_bytes(raw, "little", signed=opcode.signed)
    if opcode.name == "PROTO" and number > HIGHEST_PROTOCOL:
        raise ValueError(f"there is no protocol {number}")
    if opcode.name == "FRAME" and number >= 1 << 63:
        # Python's own unpickler, of which joblib's is one, reads a frame that is merely cut off.
        raise ValueError("its frame is longer than any")
    return Read(opcode, number, code + raw)


def _read_counted(opcode: Opcode, code: bytes, file: IO[bytes], left: int) -> Read:
    count = _exactly(file, opcode.size)
    length = int.from_bytes(count, "little", signed=opcode.signed)
    if not 0 <= length <= left - opcode.size:
        raise ValueError("its length is more than there is")
    if length > MAX_ARGUMENT:
        file.seek(length, 1)
        return Read(opcode, None, code + bytes(opcode.size))
    raw = file.read(length)
    argument: Argument = None
    if opcode.text:
        argument = raw.decode("utf-8", "surrogatepass" if "UNICODE" in opcode.name else "replace")
    elif opcode.name.startswith("LONG"):
        argument = int.from_bytes(raw, "little", signed=True)
    return Read(opcode, argument, code + count + raw)


def _read_line(opcode: Opcode, code: bytes, file: IO[bytes], left: int) -> Read:
    line = file.readline(MAX_ARGUMENT)
    if opcode.name in ("GET", "PUT"):
        return _read_place(opcode, code, line, file)
    if not line.endswith(b"\n"):
        _skip_line(file)
        return Read(opcode, None, _EMPTY[opcode.name])
    text = line[:-1]
    if opcode.name in ("INT", "LONG") and not _INTEGER.fullmatch(text.partition(b"\0")[0]):
        raise ValueError("it is no number")
    if opcode.name == "FLOAT":
        as_float(text.decode("ascii"))
    if opcode.name == "PERSID" and not text.isascii():
        raise ValueError("its text is not ASCII")
    if opcode.name == "UNICODE":
        return Read(opcode, text.decode("raw-unicode-escape"), code + line)
    if opcode.name == "STRING":
        quoted = text.strip()
        if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in (b"'", b'"'):
            raise ValueError("its text is not quoted")
        return Read(opcode, _unescaped(quoted[1:-1]), code + line)
    return Read(opcode, text.decode("utf-8", "replace"), code + line)


def as_float(argument: Argument) -> float:
    """Return a float that is written in digits; C's unpickler reads up to a NUL. 0 for what was too long to keep.

    Raises:
        ValueError: it is not one.
    """
    return float(argument.partition("\0")[0]) if isinstance(argument, str) else 0.0


def _read_place(opcode: Opcode, code: bytes, line: bytes, file: IO[bytes]) -> Read:
    """Read a place in the memo as C's unpickler does: spaces around it do not count, nor what follows a NUL."""
    place = line.strip()
    while not line.endswith(b"\n"):
        line = file.readline(_PIECE)
        place += line.strip()
        if not line or len(place) > MAX_ARGUMENT:
            raise ValueError("its line does not end")
    number = int(place.split(b"\0")[0])
    return Read(opcode, number, code + b"%d\n" % number)


def _unescaped(quoted: bytes) -> str:
    # As unpicklers do (pickle.py, load_string): an escaped name is the same name.
    decoded, _ = codecs.escape_decode(quoted)
    return str(decoded.decode("latin-1"))


def _skip_line(file: IO[bytes]) -> None:
    while line := file.readline(_PIECE):
        if line.endswith(b"\n"):
            return
    raise ValueError("its line does not end")


def _read_lines(opcode: Opcode, code: bytes, file: IO[bytes], left: int) -> Read:
    module, name = file.readline(MAX_ARGUMENT), file.readline(MAX_ARGUMENT)
    if not module.endswith(b"\n"):
        raise ValueError("its name does not end")
    if not name.endswith(b"\n"):
        # No attribute is that long, but a path of attributes can be.
        _skip_line(file)
        name = name[:_KEPT_NAME].decode("utf-8", "ignore").encode() + b"...\n"
    return Read(opcode, (module + name)[:-1].decode(), code + module + name)


def _exactly(file: IO[bytes], size: int) -> bytes:
    raw = file.read(size)
    if len(raw) < size:
        raise ValueError("it is cut off")
    return raw


_READERS: dict[str, Callable[[Opcode, bytes, IO[bytes], int], Read]] = {
    "none": _read_none,
    "line": _read_line,
    "lines": _read_lines,
    "number": _read_number,
    "counted": _read_counted,
}
