"""Raw storages of torch's two legacy formats: where they end, between and after the pickles of a file.

A file of torch before 1.6 has five pickles (a number, a version, the system, the object, the storages' keys) and then
each storage: how many elements it has, in eight bytes, and their bytes. The tar of its first releases has members of
its own for storages and for tensors (torch/serialization.py: `_legacy_save`, `_legacy_load`, `legacy_load`).
Not here: torch's zip, whose storages are members (streams).
"""

from __future__ import annotations

import pickletools
import re
import struct
from typing import IO

from weighbridge.content.findings import quoted
from weighbridge.content.pickles.machine import Walked
from weighbridge.content.pickles.tensors import STORAGES, Storage

#: The number that a legacy file begins with, as a pickle in binary and in digits.
_NUMBER = re.compile(
    rb"(\x80[\x00-\x05])?(\x95.{8})?(\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19|L119547037146038801333356L?\n)\.", re.DOTALL
)
_PICKLES = 5
#: Bytes of a list of keys that is followed.
_MAX_KEYS_SIZE = 64 * 1024 * 1024
_TEXTS = re.compile("UNICODE|STRING")


class StorageLayout:
    """A file where nothing but pickles and arrays is.

    Attributes:
        problem: what does not fit, or empty.
    """

    problem = ""

    def after(self, file: IO[bytes], start: int, walked: Walked, size: int) -> int:
        """Return where the next pickle or array begins, after a pickle that begins at `start`."""
        return walked.end

    def _past(self, file: IO[bytes], position: int, storage: Storage | None, size: int) -> int:
        """Return the end of a storage that begins at a position; the same position when it is unknown."""
        file.seek(position)
        raw = file.read(8)
        if storage is None or storage.item_size is None or len(raw) < 8:
            return position
        elements = int.from_bytes(raw, "little", signed=True)
        end = position + 8 + elements * storage.item_size
        if elements < 0 or end > size:
            self.problem = f"The storage {quoted(storage.key)} is longer than what is left of the file."
            return size
        if elements < storage.elements:
            text = f"The storage {quoted(storage.key)} has {elements} elements, and its tensors use {storage.elements}."
            self.problem = text
        return end


class _Legacy(StorageLayout):
    """A file whose fifth pickle is the list of the storages that follow it."""

    def __init__(self) -> None:
        self._pickles = 0
        self._storages: dict[str, Storage] = {}

    def after(self, file: IO[bytes], start: int, walked: Walked, size: int) -> int:
        self._pickles += 1
        self._storages.update(walked.sizes.storages)
        position = walked.end
        if self._pickles == _PICKLES:
            for key in _texts(file, start, walked.end):
                position = self._past(file, position, self._storages.get(key), size)
        return position


class _TarStorages(StorageLayout):
    """The member with storages: how many, then for each a pickle of key, place and type, and the storage."""

    def after(self, file: IO[bytes], start: int, walked: Walked, size: int) -> int:
        for found in walked.imports:
            if found.module == "torch" and found.name in STORAGES:
                return self._past(file, walked.end, Storage("", STORAGES[found.name], 0, 0), size)
        return walked.end


class _TarTensors(StorageLayout):
    """The member with tensors: how many, then for each a pickle of key, storage and type, and its shape in numbers."""

    def after(self, file: IO[bytes], start: int, walked: Walked, size: int) -> int:
        if not any(found.module == "torch" and found.name.endswith("Tensor") for found in walked.imports):
            return walked.end
        file.seek(walked.end)
        raw = file.read(4)
        dimensions = struct.unpack("<i", raw)[0] if len(raw) == 4 else -1
        # Eight bytes for the number, then a shape and strides and an offset.
        end = walked.end + 8 + 16 * dimensions + 8
        return end if dimensions >= 0 and end <= size else walked.end


def layout(file: IO[bytes], location: str) -> StorageLayout:
    """Return how a file is laid out; members of torch's tar are known by their names."""
    name = re.split("[!/]", location)[-1]
    if location and name in ("storages", "tensors"):
        return _TarStorages() if name == "storages" else _TarTensors()
    file.seek(0)
    return _Legacy() if _NUMBER.match(file.read(64)) else StorageLayout()


def _texts(file: IO[bytes], start: int, end: int) -> list[str]:
    """Return the texts of a pickle in their order; it was walked before, and has no globals to speak of."""
    file.seek(start)
    content = file.read(min(end - start, _MAX_KEYS_SIZE))
    try:
        return [str(argument) for opcode, argument, _ in pickletools.genops(content) if _TEXTS.search(opcode.name)]
    except ValueError:
        return []
