"""The pickles of one file, one after the other, with the arrays and raw storages between them.

Several dumps into one file, several arrays saved into one, and torch's legacy formats are such chains: readers go on
where the last one ended. What belongs to nothing is a finding. Not here: members of archives (streams), one pickle
(machine).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from weighbridge.content.findings import Findings
from weighbridge.content.pickles import machine, npy, storages
from weighbridge.content.pickles.machine import Budget, Walked
from weighbridge.content.pickles.recognition import MARK, is_pickle

#: The most bytes after the last pickle that are searched; the rest counts as padding.
_PADDING = 64 * 1024
#: Formats that some program may unpickle; `unknown` ones have unreliable names.
_OPENED = frozenset({"pickle", "npy", "unknown"})


@dataclass(frozen=True)
class Stream:
    """One pickle.

    Attributes:
        location: its member and, for one of several, its offset; empty for the whole blob.
        walked: the result of the walk over its opcodes.
    """

    location: str
    walked: Walked


@dataclass(frozen=True)
class SearchedFile:
    """What is searched: a file, or a member of an archive.

    Attributes:
        file: seekable; its first byte is the first one.
        size: bytes.
        format: what it is (`content.detection`).
        location: of a member; empty for a file.
        offset: bytes before its first one that were an array of numbers, and were not kept.
    """

    file: IO[bytes]
    size: int
    format: str
    location: str = ""
    offset: int = 0


class Chain:
    """A search through one file; iterate it once, then read the rest.

    Args:
        source: what is searched.
        budget: of opcodes, shared by the walks over one blob.
        most: pickles that may be found.

    Attributes:
        unread: why something of it could not be searched, or empty.
        findings: problems other than those of the pickles themselves.
        found: how many pickles there were.
    """

    def __init__(self, source: SearchedFile, budget: Budget, most: int) -> None:
        self._source, self._budget, self._most = source, budget, most
        self._unsure: list[Stream] = []
        self._layout = storages.layout(source.file, source.location)
        self._counted = source.offset > 0
        self._whole = 0
        self.unread = ""
        self.findings = Findings()
        self.found = 0

    def __iter__(self) -> Iterator[Stream]:
        source, position = self._source, 0
        while position < source.size and not self.unread:
            array = npy.read(source.file, position)
            if array is not None and (position or source.format == "npy"):
                self._counted = True
                if array.size is not None:
                    position = self._past(array, position)
                    continue
                position = array.start
            walked, counts = self._walk(position)
            where = self._at(position)
            if counts:
                yield from self._streams(Stream(where, walked))
            elif array is not None:
                self._cannot_read(f"{where or 'it'} is an array whose pickle cannot be read: {walked.problem}")
            elif walked.stopped and walked.imports:
                self._unsure.append(Stream(where, walked))
            if not walked.stopped:
                if counts:
                    self._cannot_read(f"the pickle {where or 'itself'} is malformed: {walked.problem}")
                break
            self._whole += 1
            if self._whole >= self._most:
                if self._is_opened:
                    self._cannot_read(f"{source.location or 'it'} holds more than {self._most} pickles")
                break
            position = self._layout.after(source.file, position, walked, source.size)
        self._say_what_is_left(position)

    def _walk(self, position: int) -> tuple[Walked, bool]:
        source = self._source
        source.file.seek(position)
        marked = MARK.match(source.file.read(2)) is not None
        source.file.seek(position)
        walked = machine.walk(source.file, source.size, budget=self._budget)
        counts = is_pickle(walked, marked=marked, opened=self._is_opened, ends=walked.end == source.size)
        if walked.limited and (self._is_opened or marked or counts):
            self._cannot_read(f"{source.location or 'it'} costs more than it may: {walked.problem}")
        return walked, counts

    def _streams(self, stream: Stream) -> Iterator[Stream]:
        """Yield a pickle that counts, after those before it that were not sure until then."""
        self._counted = True
        for one in (*self._unsure, stream):
            self.found += 1
            yield one
        self._unsure.clear()

    @property
    def _is_opened(self) -> bool:
        """Return whether some program may unpickle the file."""
        return self._source.format in _OPENED or self._counted

    def _past(self, array: npy.Array, position: int) -> int:
        source = self._source
        end = array.start + (array.size or 0)
        if end > source.size:
            text = f"Its array needs {array.size} bytes, and {source.size - array.start} are there."
            self.findings.add("pickle.inconsistent", "error", text, self._at(position))
        return min(end, source.size)

    def _say_what_is_left(self, position: int) -> None:
        source = self._source
        if self._layout.problem:
            self.findings.add("pickle.inconsistent", "error", self._layout.problem, source.location)
        if self.unread or position >= source.size:
            return
        if self._counted:
            source.file.seek(position)
            if source.size - position > _PADDING or source.file.read(_PADDING).strip(b"\0\r\n\t "):
                text = f"The last {source.size - position} bytes belong to no pickle and to no array."
                self.findings.add("pickle.trailing-data", "warning", text, self._at(position))
        elif source.format == "pickle" and not self._whole:
            # Some reader may know a compression that we do not.
            self._cannot_read(f"{source.location or 'it'} has the name of a pickle, and is none that can be read")

    def _cannot_read(self, why: str) -> None:
        self.unread = self.unread or why

    def _at(self, position: int) -> str:
        place = self._source.offset + position
        return f"{self._source.location}@{place}" if place else self._source.location
