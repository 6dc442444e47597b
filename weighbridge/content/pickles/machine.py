"""A pickle walked on a symbolic stack, to name every global it would import. Nothing is executed or loaded.

The stack, the memo and the few values that can name a global are followed exactly as unpicklers do (Lib/pickle.py and
_pickle.c): where every one of them would raise, the walk ends, and its result until then counts. Everything else
is opaque. Where joblib writes an array's bytes between two opcodes, they are skipped (arrays).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import IO, Any

from weighbridge.content.pickles import arrays, opcodes
from weighbridge.content.pickles.opcodes import Read
from weighbridge.content.pickles.stack import OPAQUE, PLAIN, Bytes, Memo, Stack, is_data, is_no_text
from weighbridge.content.pickles.symbols import Import
from weighbridge.content.pickles.tensors import Sizes
from weighbridge.content.pickles.uses import Fault, Uses

#: What a pickle may cost before it counts as hostile.
MAX_VALUES = 5_000_000
MAX_OPCODES = 50_000_000
MAX_IMPORTS = 10_000
TOO_MANY_OPCODES = f"it has more than {MAX_OPCODES} opcodes"
#: Letters of names followed on stack and memo, and of all of them together.
_MAX_NAME = 512
_MAX_NAMES = 192 * 1024**2
#: Entries of a dictionary or tuple that is followed, and tuples that are.
_MAX_ITEMS = 16
_MAX_TUPLES = 5_000_000
#: Bytes and opcodes of a copy for other engines.
MAX_COPY_SIZE = 8 * 1024**2
MAX_COPY_OPCODES = 500_000
#: Pickles within arrays within pickles.
_MAX_DEPTH = 16


@dataclass
class Walked:
    """The result of a walk over one pickle.

    Attributes:
        imports: every global, with the offset of the first opcode that imports it.
        faults: uses of listed globals that the list does not allow, likewise.
        files: bytes that loading reads as a torch file.
        sizes: its claims on the sizes of torch's storages and tensors.
        end: offset after the last opcode that was read.
        stopped: whether STOP was reached, as in a whole pickle.
        problem: why it could not be read on, or empty.
        opcodes: how many were read.
        calls: how many of them call something.
        values: how many are left on the stack.
        limited: whether that is because it exceeds a limit, so that the rest is unknown.
        copies: the pickle without frames, long arguments and array bytes, for other engines; then the pickles within
            its arrays. Empty when they would be too large.
    """

    imports: dict[Import, int] = field(default_factory=dict)
    faults: dict[Fault, int] = field(default_factory=dict)
    files: list[Bytes] = field(default_factory=list)
    sizes: Sizes = field(default_factory=Sizes)
    end: int = 0
    stopped: bool = False
    problem: str = ""
    limited: bool = False
    opcodes: int = 0
    calls: int = 0
    values: int = 0
    copies: list[bytes] = field(default_factory=list)


class Budget:
    """How many opcodes may be read, of all the walks over one blob together: walks can overlap.

    Args:
        left: opcodes.
    """

    def __init__(self, left: int = MAX_OPCODES) -> None:
        self.left = left


def walk(file: IO[bytes], size: int, depth: int = 0, budget: Budget | None = None) -> Walked:
    """Walk one pickle from the file's position to its STOP, its end, or the first byte that is not an opcode.

    Args:
        file: seekable, at the pickle's first byte.
        size: of the whole file in bytes.
        depth: the number of arrays around it.
        budget: shared by the walks over one blob; `MAX_OPCODES` for this one when None.
    """
    start = file.tell()
    budget = budget or Budget()
    machine = _Machine(file, size, depth, budget)
    walked = machine.run()
    if machine.skipped:
        # Only joblib goes past arrays: to any other unpickler their bytes are opcodes.
        file.seek(start)
        plain = _Machine(file, size, _MAX_DEPTH, budget, skips=False).run()
        _merge(walked, plain)
        if budget.left <= 0:
            walked.stopped, walked.limited, walked.problem = False, True, TOO_MANY_OPCODES
        file.seek(walked.end)
    return walked


def _merge(walked: Walked, other: Walked) -> None:
    """Add what another walk found."""
    for found, offset in other.imports.items():
        walked.imports.setdefault(found, offset)
    for fault, offset in other.faults.items():
        walked.faults.setdefault(fault, offset)
    walked.files += other.files
    walked.sizes.problems += other.sizes.problems


class _Machine:
    def __init__(self, file: IO[bytes], size: int, depth: int, budget: Budget, *, skips: bool = True) -> None:
        self._file, self._size, self._depth, self._budget, self._skips = file, size, depth, budget, skips
        #: Whether any array was skipped.
        self.skipped = False
        self._stack = Stack()
        self._memo = Memo()
        self._uses = Uses()
        self._names = self._tuples = 0
        self._copy: bytearray | None = bytearray()
        #: Whether dictionaries are followed: only where an array's layout depends on them.
        self._follows = False
        #: Codes of the extension registry, which is empty in every unpickler by default.
        self._extensions: dict[Import, int] = {}
        uses = self._uses
        self._walked = Walked(faults=uses.faults, files=uses.files, sizes=uses.sizes)

    def run(self) -> Walked:
        walked, file = self._walked, self._file
        walked.end = file.tell()
        while not walked.stopped:
            name = "it"
            try:
                read = opcodes.read(file, self._size - walked.end)
                name = read.opcode.name
                self._do(read, walked.end)
                self._keep(read)
            except (ValueError, IndexError, KeyError, EOFError, OverflowError) as error:
                walked.problem = f"{name} at {walked.end} cannot be read: {str(error)[:120]}"
                break
            walked.opcodes += 1
            walked.calls += name in _CALLS
            self._budget.left -= 1
            walked.end = file.tell()
            self._hold_limits()
            if walked.problem:
                break
        walked.values = len(self._stack)
        self._uses.end(walked.end)
        if walked.stopped:
            # Truncated bytes are not a pickle whose author relies on a registry with these codes.
            for found, offset in self._extensions.items():
                walked.imports.setdefault(found, offset)
        if self._copy:
            walked.copies.insert(0, bytes(self._copy))
        return walked

    def _keep(self, read: Read) -> None:
        if self._copy is None or read.opcode.name == "FRAME":
            return
        # fickling knows neither bytearrays nor written numbers; bytes and binary numbers mean as much.
        if read.opcode.name == "BYTEARRAY8":
            self._copy += b"\x8e" + read.raw[1:]
        elif read.opcode.name == "FLOAT":
            self._copy += b"G" + struct.pack(">d", opcodes.as_float(read.argument))
        else:
            self._copy += read.raw
        if len(self._copy) > MAX_COPY_SIZE or self._walked.opcodes > MAX_COPY_OPCODES:
            self._copy = None
            self._walked.copies.clear()

    def _hold_limits(self) -> None:
        walked, why = self._walked, ""
        if len(self._stack) > MAX_VALUES or len(self._memo) > MAX_VALUES:
            why = f"it holds more than {MAX_VALUES} values"
        elif self._budget.left <= 0:
            why = TOO_MANY_OPCODES
        elif len(walked.imports) > MAX_IMPORTS:
            why = f"it imports more than {MAX_IMPORTS} globals"
        elif self._names > _MAX_NAMES:
            why = "it holds more names than can be followed"
        if why:
            walked.stopped, walked.limited, walked.problem = False, True, why

    def _do(self, read: Read, offset: int) -> None:
        """Do to the symbolic stack what the opcode would do to the real one."""
        name, stack, argument = read.opcode.name, self._stack, read.argument
        if special := _SPECIAL.get(name):
            special(self, argument, offset)
            return
        if name == "REDUCE":
            function, arguments = self._stack.take(2)
            if is_data(function):
                raise ValueError("what it calls is no function")
            made = self._uses.call(function, arguments, offset)
            kind = arrays.Type.of(arguments) if function == _DTYPE else None
            self._push(kind or made)
            return
        if read.opcode.text:
            self._push_text(argument)
            return
        taken = self._stack.take_to_mark() if read.opcode.to_mark else []
        if name in _OF_PAIRS and len(taken) % 2:
            raise ValueError("a key has no value")
        if name == "OBJ" and not taken:
            raise IndexError("there is no class")
        taken = self._stack.take(read.opcode.pops) + taken
        if name in _MAKES and is_data(taken[0]):
            raise ValueError("what it makes an instance of is no class")
        for _ in range(read.opcode.pushes):
            stack.push(self._value(read, taken, offset))

    def _push_text(self, argument: Any) -> None:
        if isinstance(argument, str) and len(argument) <= _MAX_NAME:
            self._names += len(argument) + 50
            self._stack.push(argument)
        else:
            self._stack.push(OPAQUE)

    def _push(self, value: Any) -> None:
        self._uses.push(value)
        self._stack.push(value)

    def _value(self, read: Read, taken: list[Any], offset: int) -> Any:
        """Return the value that an opcode pushes for the values that it takes."""
        name = read.opcode.name
        if name in _MAKES:
            return self._made(name, taken, offset)
        if name in _ADDS:
            self._uses.add(taken[0], offset)
            return self._added(name, taken, offset)
        if name == "DICT":
            self._uses.put(taken[::2], taken[1::2], offset)
        elif name == "BINPERSID":
            return self._uses.identify(taken[0], offset)
        elif name in ("BININT", "BININT1", "BININT2", "LONG1", "LONG4"):
            return read.argument
        elif name in _CONSTANTS:
            return _CONSTANTS[name]
        elif name in _BYTES:
            start = offset + 1 + read.opcode.size
            return Bytes(start, self._file.tell() - start)
        elif name == "EMPTY_DICT" and self._follows:
            return {}
        elif "TUPLE" in name and len(taken) <= _MAX_ITEMS and self._tuples < _MAX_TUPLES:
            self._tuples += 1
            return tuple(taken)
        return PLAIN if name in _PLAIN_VALUES else OPAQUE

    def _made(self, name: str, taken: list[Any], offset: int) -> Any:
        """Judge a new instance, and return it; one of joblib's wrappers has the length of an array."""
        made, *rest = taken
        if isinstance(made, Import) and made in _WRAPPERS:
            return arrays.Wrapper()
        if name == "OBJ":
            return self._of_arguments(made, tuple(rest), offset)
        return self._uses.rebuild(made, rest[0] if len(rest) == 1 else OPAQUE, offset)

    def _of_arguments(self, made: Any, arguments: tuple[Any, ...], offset: int) -> Any:
        uses = self._uses
        return uses.call(made, arguments, offset) if arguments else uses.rebuild(made, (), offset)

    def _added(self, name: str, taken: list[Any], offset: int) -> Any:
        """Judge keys and values that are added to a dictionary, and follow them where a layout depends on them."""
        target, *items = taken
        if name in ("SETITEM", "SETITEMS"):
            self._uses.put(items[::2], items[1::2], offset)
            if isinstance(target, dict) and len(target) + len(items) <= 2 * _MAX_ITEMS:
                pairs = zip(items[::2], items[1::2], strict=False)
                target.update({key: value for key, value in pairs if isinstance(key, str)})
        return target

    def _import(self, module: Any, name: Any, offset: int) -> None:
        """Note a global; one whose name no import would find ends the walk, as it would end the loading."""
        if is_no_text(module) or is_no_text(name):
            raise ValueError("its name is no text")
        if not isinstance(module, str) or not isinstance(name, str):
            found = Import("", "")
        elif not module or not module.isprintable() or not name.isprintable():
            raise ValueError("its name is no name")
        else:
            found = Import(module, name)
        self._walked.imports.setdefault(found, offset)
        self._follows |= found == _DTYPE or found in _WRAPPERS
        self._push(found)

    def _global(self, argument: str, offset: int) -> None:
        module, _, name = argument.partition("\n")
        self._import(module, name, offset)

    def _inst(self, argument: str, offset: int) -> None:
        module, _, name = argument.partition("\n")
        arguments = tuple(self._stack.take_to_mark())
        self._import(module, name, offset)
        (made,) = self._stack.take(1)
        self._push(self._of_arguments(made, arguments, offset))

    def _stack_global(self, argument: None, offset: int) -> None:
        module, name = self._stack.take(2)
        self._import(module, name, offset)

    def _extension(self, argument: int, offset: int) -> None:
        if argument <= 0:
            raise ValueError("no extension has such a code")
        self._extensions.setdefault(Import("", f"(extension {argument})"), offset)
        self._stack.push(OPAQUE)

    def _put(self, argument: str | int, offset: int) -> None:
        self._memo.put(int(argument), self._stack.top())

    def _memoize(self, argument: None, offset: int) -> None:
        self._memo.put(len(self._memo), self._stack.top())

    def _get(self, argument: str | int, offset: int) -> None:
        self._push(self._memo.get(int(argument)))

    def _mark(self, argument: None, offset: int) -> None:
        self._stack.mark()

    def _dup(self, argument: None, offset: int) -> None:
        self._push(self._stack.top())

    def _stop(self, argument: None, offset: int) -> None:
        self._stack.take(1)
        self._walked.stopped = True

    def _pop(self, argument: None, offset: int) -> None:
        self._stack.pop()

    def _build(self, argument: None, offset: int) -> None:
        (state,) = self._stack.take(1)
        built = self._stack.top()
        if isinstance(built, arrays.Type):
            built.take_state(state)
        elif isinstance(built, arrays.Wrapper) and self._skips:
            self._stack.replace(OPAQUE)
            self._skip_array(state)
        elif not isinstance(built, arrays.Wrapper):
            self._uses.fill(built, state, offset)

    def _skip_array(self, state: Any) -> None:
        """Go past what joblib writes after an array's wrapper: a pickle of objects, or padding and plain numbers."""
        file, walked = self._file, self._walked
        self.skipped = True
        size = arrays.size_after(state, file)
        if size is not None:
            if file.tell() + size > self._size:
                raise ValueError("its array is longer than there is")
            file.seek(size, 1)
            return
        if self._depth >= _MAX_DEPTH:
            raise ValueError("too many arrays of objects lie within each other")
        inner = walk(file, self._size, self._depth + 1, self._budget)
        _merge(walked, inner)
        walked.opcodes += inner.opcodes
        walked.calls += inner.calls
        if self._copy is not None:
            walked.copies += inner.copies
            if not inner.copies or sum(map(len, walked.copies)) > MAX_COPY_SIZE:
                self._copy = None
                walked.copies.clear()
        walked.problem, walked.limited = inner.problem, inner.limited


#: Opcodes that take pairs of a key and a value from above a mark.
_OF_PAIRS = frozenset({"DICT", "SETITEMS"})
#: Opcodes that make an instance of the first value that they take.
_MAKES = frozenset({"OBJ", "NEWOBJ", "NEWOBJ_EX"})
#: Opcodes that add items to the first value that they take.
_ADDS = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"})
_BYTES = frozenset({"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"})
#: Opcodes whose value is certainly neither text nor callable.
_PLAIN_VALUES = frozenset(
    {"NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
    | {"FLOAT", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "EMPTY_LIST", "LIST"}
    | {"EMPTY_DICT", "DICT", "EMPTY_SET", "FROZENSET", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
)
_CALLS = frozenset({"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_DTYPE = Import("numpy", "dtype")
_WRAPPERS = frozenset({Import("joblib.numpy_pickle", "NumpyArrayWrapper")})
_CONSTANTS = {"EMPTY_TUPLE": (), "NEWTRUE": True, "NEWFALSE": False}
_SPECIAL: dict[str, Any] = {
    "STOP": _Machine._stop, "GLOBAL": _Machine._global, "INST": _Machine._inst, "STACK_GLOBAL": _Machine._stack_global,
    "EXT1": _Machine._extension, "EXT2": _Machine._extension, "EXT4": _Machine._extension,
    "PUT": _Machine._put, "BINPUT": _Machine._put, "LONG_BINPUT": _Machine._put, "MEMOIZE": _Machine._memoize,
    "GET": _Machine._get, "BINGET": _Machine._get, "LONG_BINGET": _Machine._get,
    "MARK": _Machine._mark, "DUP": _Machine._dup, "POP": _Machine._pop, "BUILD": _Machine._build,
}  # fmt: skip
