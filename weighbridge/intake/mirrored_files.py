"""Files of versions that the mirror gives out: opened for a caller who may have their bytes.

Not here: which version a caller is served (intake.mirroring), and sending the bytes (web.mirror.transfers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from typing import Protocol

from weighbridge.domain.access import Caller
from weighbridge.domain.manifest import FileEntry
from weighbridge.errors import IntegrityError
from weighbridge.intake.mirroring import Served, refuse_bytes
from weighbridge.intake.read_through import open_blob
from weighbridge.intake.resources import Resources
from weighbridge.store.growing import GrowingBlob


class OpenBytes(Protocol):
    """Bytes that are given out piece by piece; `store.reading` opens those of a blob.

    Attributes:
        size: how many they are.
    """

    size: int

    def close(self) -> None:
        """Close what they are read from; a second call is harmless."""

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`. Raises IntegrityError where they turn out damaged."""

    def whole(self) -> Iterator[bytes]:
        """Yield all bytes. Raises IntegrityError instead of the last piece where they are damaged."""

    def in_file(self) -> BytesInFile | None:
        """Return them as parts of a file that the kernel can send; None where they are not in one as they are."""


class BytesInFile(Protocol):
    """Bytes as they are in a file; `store.reading.OpenBlob` says what each of these is."""

    size: int
    file: FileIO

    @property
    def is_proven(self) -> bool: ...  # noqa: D102

    @property
    def is_large(self) -> bool: ...  # noqa: D102

    @property
    def is_being_proven(self) -> bool: ...  # noqa: D102

    def refuse_changed(self) -> None: ...  # noqa: D102

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]: ...  # noqa: D102

    def is_in_memory(self, start: int, length: int) -> bool: ...  # noqa: D102

    def load(self, start: int, length: int) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class OpenFile:
    """A file of a version that is being given out; close its blob at the end.

    Attributes:
        given: the version.
        entry: the file.
        blob: its bytes.
        caller: who gets them.
    """

    given: Served
    entry: FileEntry
    blob: OpenBytes
    caller: Caller

    @property
    def is_arriving(self) -> bool:
        """Whether its bytes are still being received."""
        return isinstance(self.blob, GrowingBlob)

    @property
    def is_ready(self) -> bool:
        """Whether its next bytes can be read without a wait."""
        return not isinstance(self.blob, GrowingBlob) or self.blob.is_ready


def open_file(given: Served, path: str, caller: Caller, resources: Resources, *, begin: bool = True) -> OpenFile:
    """Open a file of a version for a caller; with `begin`, one of a transit is fetched where it is not here.

    Raises:
        FileNotInVersion: the version has no such file.
        LicenceNotAcknowledged: the caller has to acknowledge the licence first, and may only know of the files.
        BlobMissing: its bytes are not in the store.
        IntegrityError: they are not as many as they should be.
        WeighbridgeError: as `read_through.open_blob`, of a transit.
    """
    entry = given.file(path)
    if given.transit is not None:
        entry, growing = open_blob(given.transit, entry, resources, begin=begin)
        return OpenFile(given, entry, growing, caller)
    refuse_bytes(given, caller, resources)
    assert entry.digest is not None, "a computed manifest has the digest of every file"
    blob = resources.readings.open(entry.digest)
    if blob.size != entry.size:
        blob.close()
        resources.store.prove(entry.digest)
        raise IntegrityError(f"The file {path} of {given.version.name} does not have its size.")
    return OpenFile(given, entry, blob, caller)


def open_at_once(
    given: Served, entry: FileEntry, part: tuple[int, int], caller: Caller, resources: Resources
) -> tuple[OpenFile, bytes | bytearray] | None:
    """Open a file for a caller who was cleared for the version, where that and its first bytes need no wait; else None.

    Args:
        given: a version of the catalog.
        entry: the file.
        part: the first byte that is wanted, and the one after the last.
        caller: who gets them.
        resources: those of the process.

    Returns:
        The file, and all bytes that are wanted; none of them where they are many, and the kernel can send them.

    Raises:
        IntegrityError: the file turned out damaged.
    """
    assert entry.digest is not None, "a computed manifest has the digest of every file"
    blob = resources.readings.open_at_once(entry.digest)
    if blob is None:
        return None
    try:
        if blob.size == entry.size:
            first = blob.at_once(*part)
            if first is None and blob.is_proven:
                first = b""
            if first is not None:
                return OpenFile(given, entry, blob, caller), first
    except BaseException:
        blob.close()
        raise
    blob.close()
    return None
