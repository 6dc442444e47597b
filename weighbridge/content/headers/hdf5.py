"""HDF5 files: their objects walked for what leaves the file and for what its readers unpickle.

A link or a dataset may be stored in another file, which HDF5 opens by its name; an attribute may hold a configuration
of Keras's or, to PyTables, a pickle. Read by `pyfive`, in Python and in a child process. Not here: what a configuration
leads to (keras), what a pickle would do (pickles.machine), weights.
"""

from __future__ import annotations

import base64
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from weighbridge.content import sandbox
from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers import config, document, keras
from weighbridge.content.pickles import embedded
from weighbridge.domain.report import Finding

#: Objects of one file; the largest known models have a hundredth of it.
MAX_OBJECTS = 200_000
#: Values that may be pickles: how many, and their bytes together.
MAX_PICKLES, MAX_PICKLED_SIZE = 10_000, 8 * 1024 * 1024
_CONFIGURATIONS = ("model_config", "training_config")
#: Types of messages in an object's header (HDF5 File Format Specification, IV.A.2).
_EXTERNAL_FILES, _LAYOUT, _ATTRIBUTE = 0x0007, 0x0008, 0x000C
#: Types of links: 64 and more are external or of an application's.
_HARD, _SOFT, _EXTERNAL = 0, 1, 64
#: The class of a dataset that is assembled from other datasets.
_VIRTUAL = 3


@dataclass(frozen=True)
class Hdf5Header:
    """What an HDF5 file's structure leads to.

    Attributes:
        is_keras: whether it holds a configuration of Keras's.
        findings: `hdf5.*`, `keras.*`, and `pickle.*` for what PyTables unpickles.
        bytes_read: bytes of configurations that were read.
        failure: why the file could not be read to its end, or empty.
    """

    is_keras: bool = False
    findings: tuple[Finding, ...] = ()
    bytes_read: int = 0
    failure: str = ""


def read(path: Path, limits: sandbox.ReadingLimits | None = None) -> Hdf5Header:
    """Read a file's structure in a child process; never raises because of its content."""
    reading = sandbox.read("hdf5", path, limits)
    if reading.answer is None:
        return Hdf5Header(failure=reading.reason)
    answer = reading.answer
    findings = Findings()
    for where, text in answer["outside"]:
        findings.add("hdf5.external", "error", text, where)
    configuration = keras.judge(text.encode() for text in answer["texts"])
    findings.extend(configuration.findings)
    for where, content in answer["pickles"]:
        findings.extend(embedded.inspect(base64.b64decode(content), where))
    for where, text in answer["settings"]:
        findings.extend(config.inspect_text(text, where))
    return Hdf5Header(configuration.is_keras, findings.all, configuration.bytes_read, answer["failure"])


def walk_file(path: Path) -> dict[str, Any]:
    """Return what is worth knowing of a file's objects as plain JSON; the child's work."""
    import pyfive.high_level  # type: ignore[import-untyped]
    from pyfive.misc_low_level import SuperBlock  # type: ignore[import-untyped]
    from pyfive.utilities import HDF5OffsetWrapper  # type: ignore[import-untyped]

    with open(path, "rb") as file:
        at = pyfive.high_level.File._find_superblock_offset(file)
        base = SuperBlock(file, at)._contents["base_address"]
        content = HDF5OffsetWrapper(file, base) if base else file
        walk = _Walk(content)
        walk.walk(SuperBlock(content, at - base).offset_to_dataobjects)
        if walk.holds_objects:
            walk.add_rows(file)
    found = {"texts": walk.texts, "outside": walk.outside, "pickles": walk.pickles, "settings": walk.settings}
    return {**found, "failure": walk.failure}


class _Walk:
    """A walk over a file's objects from its root; each is visited once, however many links lead to it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.texts: list[str] = []
        self.outside: list[tuple[str, str]] = []
        self.pickles: list[tuple[str, str]] = []
        self.settings: list[tuple[str, str]] = []
        self._pickled_size = 0
        self.failure = ""
        self.holds_objects = False

    def walk(self, root: int) -> None:
        objects = _object_type()
        seen, stack = {root}, [("", root)]
        while stack:
            where, address = stack.pop()
            found = objects(self._file, address)
            self._storage(found, where)
            for name, value in _attributes(found):
                self._attribute(name, value, f"{where}@{name}")
            for name, target in found.iter_links():
                inner = f"{where}/{name}"[:200]
                if isinstance(target, _Outside):
                    text = f"It is a link to {quoted(target.name)}, which HDF5 opens as another file."
                    self.outside.append((inner, text))
                elif isinstance(target, int) and target not in seen:
                    seen.add(target)
                    stack.append((inner, target))
            if len(seen) > MAX_OBJECTS:
                self.failure = f"it holds more than {MAX_OBJECTS:,} objects"
                return

    def _storage(self, found: Any, where: str) -> None:
        for message in found.msgs:
            at = message["offset_to_message"]
            if message["type"] == _EXTERNAL_FILES:
                self.outside.append((where, "Its content is stored in other files, which HDF5 opens by name."))
            elif message["type"] == _LAYOUT:
                version, kind = found.msg_data[at], found.msg_data[at + 1]
                if version >= 3 and kind == _VIRTUAL:
                    text = "It is put together from other datasets, which HDF5 opens by the names of their files."
                    self.outside.append((where, text))

    def _attribute(self, name: str, value: Any, where: str) -> None:
        if name in _CONFIGURATIONS:
            value = value.tobytes() if hasattr(value, "tobytes") else value
            text = value.decode() if isinstance(value, bytes) else str(value)
            if sum(map(len, self.texts)) + len(text) > keras.MAX_CONFIG_SIZE:
                self.failure = "its configuration is too large"
            else:
                self.texts.append(text)
        elif name == "PSEUDOATOM" and value in (b"object", "object"):
            # PyTables' rows of objects, such as pandas writes for columns of texts.
            self.holds_objects = True
        elif isinstance(value, bytes | str):
            content = value.encode(errors="replace") if isinstance(value, str) else value.rstrip(b"\0")
            if document.mentions_loader_key(content):
                self.settings.append((where, content.decode(errors="replace")))
            if content.endswith(b".") or embedded.embedded_pickles(content):
                self._pickle(content, where)

    def _pickle(self, value: bytes, where: str) -> None:
        """Keep a value that may be a pickle."""
        self._pickled_size += len(value)
        if len(self.pickles) >= MAX_PICKLES or self._pickled_size > MAX_PICKLED_SIZE:
            self.failure = "more of its values may be pickles than are looked at"
        else:
            self.pickles.append((where, base64.b64encode(value).decode()))

    def add_rows(self, file: BinaryIO) -> None:
        """Add what the global heaps hold, where rows of objects are stored as pickles (III.E of the specification)."""
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = content.find(b"GCOL")
            while at >= 0 and not self.failure:
                size = int.from_bytes(content[at + 8 : at + 16], "little")
                end, position = min(at + size, len(content)), at + 16
                while position + 16 <= end and content[position : position + 2] != b"\0\0":
                    length = int.from_bytes(content[position + 8 : position + 16], "little")
                    if length > MAX_PICKLED_SIZE:
                        self.failure = "a row of its objects is too large"
                        return
                    row = content[position + 16 : position + 16 + length]
                    if row.endswith(b"."):
                        self._pickle(row, f"row@{position}")
                    position += 16 + -(-length // 8) * 8
                at = content.find(b"GCOL", at + 4)


@dataclass(frozen=True)
class _Outside:
    """The target of a link that is not in the file."""

    name: str


def _attributes(found: Any) -> Iterator[tuple[str, Any]]:
    """Yield an object's attributes; one of a type that `pyfive` cannot decode as the bytes of its message."""
    try:
        yield from found.get_attributes().items()
    except (ValueError, NotImplementedError, TypeError, struct.error, AssertionError, AttributeError):
        for message in found.msgs:
            if message["type"] == _ATTRIBUTE:
                at = message["offset_to_message"]
                yield from _one_attribute(found, at, message["size"])


def _one_attribute(found: Any, at: int, size: int) -> Iterator[tuple[str, Any]]:
    try:
        yield found.unpack_attribute(at)
    except (ValueError, NotImplementedError, TypeError, struct.error, AssertionError, AttributeError):
        yield "", bytes(found.msg_data[at : at + size])


def _object_type() -> type:
    """Return `pyfive`'s reader of an object, with links to other files, which it does not know."""
    from pyfive.dataobjects import DataObjects  # type: ignore[import-untyped]

    class Objects(DataObjects):  # type: ignore[misc]
        @staticmethod
        def _decode_link_msg(data: bytes, offset: int) -> tuple[Any, tuple[str, Any]]:
            flags = data[offset + 1]
            kind = data[offset + 2] if flags & 8 else _HARD
            if kind in (_HARD, _SOFT):
                answer: tuple[Any, tuple[str, Any]] = DataObjects._decode_link_msg(data, offset)
                return answer
            at = offset + 3
            order = int.from_bytes(data[at : at + 8], "little") if flags & 4 else None
            at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
            width = 1 << (flags & 3)
            length = int.from_bytes(data[at : at + width], "little")
            name = data[at + width : at + width + length].decode(errors="backslashreplace")
            at += width + length
            size = int.from_bytes(data[at : at + 2], "little")
            # An external link: one byte of flags, the file's name, the object's name.
            parts = data[at + 3 : at + 2 + size].split(b"\0") if kind == _EXTERNAL else [b"a link of an application's"]
            return order, (name, _Outside(parts[0].decode(errors="backslashreplace")[:200]))

    return Objects
