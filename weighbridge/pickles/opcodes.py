"""A pickle walked opcode by opcode on a symbolic stack, to name every global it would import. Nothing is executed.

Opcodes and their stack effects are the standard library's own table (`pickletools.opcodes`). Large byte strings are
skipped, not read, so memory stays bounded whatever a pickle holds.
"""

from __future__ import annotations

import pickletools
import struct
from dataclasses import dataclass, field
from typing import IO, Any

#: Bytes of an argument above which it is skipped: no name of a module is longer.
MAX_ARGUMENT = 64 * 1024
#: Entries of stack and memo above which a pickle counts as hostile.
MAX_STACK = 5_000_000
_TABLE = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_LENGTHS = {
    "BINSTRING": "<i", "SHORT_BINSTRING": "<B", "BINBYTES": "<I", "SHORT_BINBYTES": "<B", "BINBYTES8": "<Q",
    "BYTEARRAY8": "<Q", "BINUNICODE": "<I", "SHORT_BINUNICODE": "<B", "BINUNICODE8": "<Q", "LONG1": "<B", "LONG4": "<i",
}  # fmt: skip
_TEXT = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"}
_MARK = object()
_OPAQUE = object()


@dataclass(frozen=True, order=True)
class Import:
    """A global that a pickle would import.

    Attributes:
        module: its module, or empty when it cannot be told before loading.
        name: its name there, perhaps dotted.
        offset: where in the pickle.
    """

    module: str
    name: str
    offset: int

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.module else "a global whose name is computed"


@dataclass
class Walked:
    """What a walk over one pickle came to.

    Attributes:
        imports: every global, in order.
        end: offset after the last opcode that was read.
        stopped: whether STOP was reached, as in a whole pickle.
        problem: why it could not be read on, or empty.
        opcodes: how many were read.
    """

    imports: list[Import] = field(default_factory=list)
    end: int = 0
    stopped: bool = False
    problem: str = ""
    opcodes: int = 0


def walk(file: IO[bytes], size: int) -> Walked:
    """Walk one pickle from the file's position to its STOP, its end, or the first byte that is no opcode."""
    walked = Walked(end=file.tell())
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    while not walked.stopped:
        offset = file.tell()
        code = file.read(1)
        opcode = _TABLE.get(code)
        if opcode is None:
            walked.problem = "it ends without STOP" if not code else f"byte {code[0]:#04x} at {offset} is no opcode"
            return walked
        try:
            argument = _argument(opcode, file, size)
            _apply(opcode, argument, stack, memo, offset, walked)
        except (ValueError, IndexError, KeyError, struct.error, EOFError, OverflowError) as error:
            walked.problem = f"{opcode.name} at {offset} cannot be read: {str(error)[:80]!r}"
            return walked
        if len(stack) > MAX_STACK or len(memo) > MAX_STACK:
            walked.problem = f"it holds more than {MAX_STACK} values"
            return walked
        walked.opcodes += 1
        walked.end = file.tell()
    return walked


def _argument(opcode: pickletools.OpcodeInfo, file: IO[bytes], size: int) -> Any:
    """Return an opcode's argument; None for a long one, which is skipped."""
    if opcode.arg is None:
        return None
    if layout := _LENGTHS.get(opcode.name):
        (length,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
        if length < 0 or file.tell() + length > size:
            raise ValueError("its length is more than there is")
        if length > MAX_ARGUMENT:
            file.seek(length, 1)
            return None
        content = file.read(length)
        return content.decode("utf-8", "replace") if opcode.name in _TEXT else None
    if opcode.name == "FRAME":
        file.read(8)
        return None
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        return _line(opcode, file)
    return opcode.arg.reader(file)


def _line(opcode: pickletools.OpcodeInfo, file: IO[bytes]) -> str:
    lines = []
    for _ in range(2 if opcode.name in ("GLOBAL", "INST") else 1):
        line = file.readline(MAX_ARGUMENT)
        if not line.endswith(b"\n"):
            raise ValueError("its line does not end")
        lines.append(line[:-1].decode("utf-8", "replace").strip("\r"))
    return "\n".join(lines) if opcode.name != "STRING" else lines[0].strip("'\"")


def _apply(
    opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any], memo: dict[int, Any], offset: int, walked: Walked
) -> None:
    """Do to the symbolic stack what the opcode would do to the real one."""
    name = opcode.name
    if name == "STOP":
        walked.stopped = True
    elif name in ("GLOBAL", "INST"):
        module, _, attribute = argument.partition("\n")
        walked.imports.append(Import(module, attribute, offset))
        if name == "INST":
            _pop_mark(stack)
        stack.append(_OPAQUE)
    elif name == "STACK_GLOBAL":
        attribute, module = stack.pop(), stack.pop()
        known = isinstance(module, str) and isinstance(attribute, str)
        walked.imports.append(Import(module, attribute, offset) if known else Import("", "", offset))
        stack.append(_OPAQUE)
    elif name in ("EXT1", "EXT2", "EXT4"):
        walked.imports.append(Import("", f"extension {argument}", offset))
        stack.append(_OPAQUE)
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[int(argument)] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[int(argument)])
    elif name == "MARK":
        stack.append(_MARK)
    elif name == "POP":
        stack.pop()
    elif name == "POP_MARK":
        _pop_mark(stack)
    elif name == "DUP":
        stack.append(stack[-1])
    else:
        _general(opcode, argument, stack)


def _general(opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any]) -> None:
    before = list(opcode.stack_before)
    if pickletools.markobject in before:
        _pop_mark(stack)
        before = before[: before.index(pickletools.markobject)]
    for _ in before:
        stack.pop()
    text = isinstance(argument, str) and opcode.name in (*_TEXT, "UNICODE", "STRING")
    stack.extend(argument if text else _OPAQUE for _ in opcode.stack_after)


def _pop_mark(stack: list[Any]) -> None:
    while stack.pop() is not _MARK:
        pass
