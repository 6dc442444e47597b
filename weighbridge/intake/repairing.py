"""Repairing: fetches broken or missing blobs again from their sources, only the damaged ranges where possible.

Not here: finding what is broken (store.checking), and piece sums (piece_sums).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import IntegrityError, ModelNotFound, SourceUnavailable, WeighbridgeError
from weighbridge.intake import fetching, publishing, steps
from weighbridge.intake.job import Job
from weighbridge.intake.unexpected import foreseen
from weighbridge.intake.workspace import Workspace
from weighbridge.net.retrying import Retrying
from weighbridge.sources.interface import Source
from weighbridge.store.checking import StoreCheck
from weighbridge.store.incoming import Incoming
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.piece_sums import PIECE, WIDTH

#: `range`: only damaged pieces were received; `whole`: all of it; `archive`: the archive that contains it was unpacked
#: again; `lost`: it could not be repaired.
How = Literal["range", "whole", "archive", "lost"]


@dataclass(frozen=True)
class Repair:
    """The repair of one blob.

    Attributes:
        digest: the blob.
        how: see `How`.
        source: the URI its bytes came from; empty where none came.
        received: bytes that were read from there.
        note: why it was not repaired by range, or why it is lost; empty otherwise.
    """

    digest: Digest
    how: How
    source: str = ""
    received: int = 0
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**vars(self), "digest": str(self.digest)}


@dataclass(frozen=True)
class RepairReport:
    """The result of a repair.

    Attributes:
        repairs: one for every blob that was broken or missing.
        given_out: `name@version in registry` of versions whose files in a registry were repaired.
        failed: the same with the reason, where a registry failed.
    """

    repairs: tuple[Repair, ...]
    given_out: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Return whether nothing is left to repair."""
        return not self.failed and all(repair.how != "lost" for repair in self.repairs)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        repairs = [repair.to_json() for repair in self.repairs]
        return {"repairs": repairs, "given_out": list(self.given_out), "failed": list(self.failed)}


def repair_store(
    found: StoreCheck, versions: Sequence[ModelVersion], workspace: Workspace, auth: Mapping[str, AuthPlace]
) -> RepairReport:
    """Repair every blob that this or an earlier check of the store found broken, or that a version lacks.

    1. Every source that the catalog names for the blob is asked in turn for its current files.
    2. Where the store has a broken copy and its piece sums, only pieces that do not match their sum are fetched.
    3. Otherwise, and where that fails, the whole blob is fetched; a member of an archive with its archive.
    4. A blob gets its name atomically, once its whole sha256 is right; only then is the broken copy removed.
    5. Registries that serve anything else than the catalog says are published to again: their files may be hard links
       to the broken blob, and an earlier repair may have been cut off before this step.

    A kill at any moment leaves the store as sound as it was, and the next repair continues from there.

    Args:
        found: the result of the check.
        versions: every version of the catalog.
        workspace: the workspace to use.
        auth: the place of the credentials for a model's source, by the model's name.
    """
    mender, store = _Mender(workspace, versions, auth), workspace.store
    wanted = {damage.digest for damage in found.damaged} | set(found.missing)
    for digest in store.corrupt_digests():
        if digest not in wanted and store.has(digest):
            store.drop_corrupt(digest)
        elif mender.origins(digest):
            wanted.add(digest)
    # An archive that no manifest names is fetched together with its members, so it comes after them.
    ordered = sorted(wanted, key=lambda digest: (not mender.origins(digest), digest))
    repairs = tuple(mender.mend(digest) for digest in ordered)
    whole = [version for version in versions if _is_here(version, store)]
    given_out, failed = publishing.mend(whole, workspace)
    return RepairReport(repairs, given_out, failed)


@dataclass(frozen=True)
class _Origin:
    """A place that a blob came from."""

    uri: str
    path: str
    size: int
    auth: AuthPlace


class _Mender:
    """Repairs blobs one by one; each source is asked only once for its files."""

    def __init__(self, workspace: Workspace, versions: Sequence[ModelVersion], auth: Mapping[str, AuthPlace]) -> None:
        self._workspace, self._store = workspace, workspace.store
        self._known = [(auth.get(version.name, AuthPlace()), version.manifest) for version in versions]
        self._asked: dict[tuple[str, AuthPlace], Manifest | WeighbridgeError] = {}
        self.origins = cache(self._origins)

    def _origins(self, digest: Digest) -> tuple[_Origin, ...]:
        remembered = ((AuthPlace(), manifest) for manifest in self._workspace.catalog.holding(digest))
        found = (
            _Origin(manifest.ref.uri, entry.path, entry.size or 0, place)
            for place, manifest in (*self._known, *remembered)
            for entry in manifest.files
            if entry.digest == digest
        )
        return tuple(dict.fromkeys(found))

    def _declared(self, uri: str, place: AuthPlace) -> Manifest:
        if (uri, place) not in self._asked:
            ref = ModelRef.parse(uri)
            try:
                self._asked[uri, place] = self._workspace.source(ref, place).resolve(ref)
            except Exception as error:  # noqa: BLE001 (a bug that one source meets stops no other source)
                # It is kept, so that the other blobs do not wait again for a source that is down.
                self._asked[uri, place] = foreseen(error, uri, self._workspace.settings.folder)
        found = self._asked[uri, place]
        if isinstance(found, WeighbridgeError):
            raise found
        return found

    def mend(self, digest: Digest) -> Repair:
        reasons = []
        for origin in self.origins(digest):
            try:
                repair = self._mend_from(origin, digest)
            except Exception as error:  # noqa: BLE001 (as above)
                why = foreseen(error, f"{digest} from {origin.uri}", self._workspace.settings.folder)
                reasons.append(f"{origin.uri}: {why}")
            else:
                self._store.drop_corrupt(digest)
                return repair
        if self._store.has(digest):
            self._store.drop_corrupt(digest)
            return Repair(digest, "archive", note="It came with its members.")
        nowhere = "The catalog does not know its source; ingest the model that needs it again."
        return Repair(digest, "lost", note=" ".join(dict.fromkeys(reasons)) or nowhere)

    def _mend_from(self, origin: _Origin, digest: Digest) -> Repair:
        declared = self._declared(origin.uri, origin.auth)
        if declared.archive:
            return self._unpack(origin, digest, declared)
        promised = declared.by_path.get(origin.path)
        if promised is None or _contradicts(promised, origin, digest):
            raise _gone(origin)
        entry = replace(promised, size=origin.size, digest=digest)
        source = self._workspace.source(declared.ref, origin.auth)
        try:
            remote = _Remote(source, declared.ref, entry, self._workspace.retrying)
            return Repair(digest, "range", origin.uri, self._by_range(remote, digest))
        except _NotByRange as why:
            progress, retrying = self._workspace.progress, self._workspace.retrying
            progress.expect("fetch", origin.size)
            fetching.fetch(source, declared.ref, entry, self._store, progress, retrying, self._workspace.pace)
            return Repair(digest, "whole", origin.uri, origin.size, str(why))

    def _unpack(self, origin: _Origin, digest: Digest, declared: Manifest) -> Repair:
        note = "It is a member of an archive, and members cannot be read by range."
        if not self._store.has(digest):
            request = IngestRequest(declared.ref, auth=origin.auth)
            steps.fetch(Job.of(request, self._workspace), declared, declared.files)
            if not self._store.has(digest):
                raise _gone(origin)
        return Repair(digest, "archive", origin.uri, declared.size, note)

    def _by_range(self, remote: _Remote, digest: Digest) -> int:
        """Repair a broken copy and return how many bytes were read from the source.

        Raises:
            _NotByRange: the copy or its sums are missing, or the source has no ranges or other bytes.
            SourceError, StoreFull: as usual; the pieces repaired so far stay for the next attempt.
        """
        broken, size = self._store.corrupt(digest), remote.entry.size or 0
        sums = self._store.piece_sums(digest, size)
        if broken is None or sums is None:
            raise _NotByRange("No broken copy of it is left." if broken is None else "It has no piece sums.")
        self._workspace.progress.expect("repair", size)
        with self._store.receive(f"repair {digest}") as incoming, remote:
            if self._store.has(digest):  # Another process has repaired it meanwhile.
                return 0
            try:
                for piece in _pieces(broken, (*sums, bytes.fromhex(digest.hex)[:WIDTH]), incoming, remote):
                    incoming.write(piece)
                    self._workspace.progress.advance("repair", len(piece))
                incoming.commit(digest)
            except (_NotByRange, IntegrityError) as error:
                incoming.discard()
                raise _NotByRange(str(error)) from error
        return remote.received


class _NotByRange(Exception):
    """Why a blob has to be fetched whole."""


class _Remote:
    """A file at its source, read in pieces from front to back; adjacent pieces come from one open stream."""

    def __init__(self, source: Source, ref: ModelRef, entry: FileEntry, retrying: Retrying) -> None:
        self.entry = entry
        self.received = 0
        self._source, self._ref, self._retrying = source, ref, retrying
        self._stack = ExitStack()
        self._position = -1
        self._chunks: Iterator[bytes] = iter(())
        self._rest = b""

    def __enter__(self) -> _Remote:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def read(self, position: int, size: int) -> bytes:
        """Return the bytes from a position on; a request that is cut off is retried, as in fetching."""

        def ask() -> bytes:
            try:
                return self._read(position, size)
            except SourceUnavailable:
                self._position = -1
                raise

        return self._retrying.call(ask)

    def _read(self, position: int, size: int) -> bytes:
        if position != self._position:
            self._open(position)
        piece = bytearray(self._rest)
        while len(piece) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise SourceUnavailable(f"{self.entry.path} ended before its end.", "Try again later.")
            self.received += len(chunk)
            piece += chunk
        self._position, self._rest = position + size, bytes(piece[size:])
        return bytes(piece[:size])

    def _open(self, position: int) -> None:
        self._stack.close()
        stream = self._stack.enter_context(self._source.open(self._ref, self.entry, position))
        if stream.offset != position or stream.size not in (None, self.entry.size):
            raise _NotByRange("The source gives no ranges of it.")
        self._chunks, self._rest = iter(stream.chunks), b""


def _pieces(broken: Path, sums: Sequence[bytes], incoming: Incoming, remote: _Remote) -> Iterator[bytes]:
    """Yield the blob from `incoming.offset` on, each piece from the broken copy where it fits its sum.

    A piece that is equal in both places is taken although its sum differs: then the sum is what is damaged.
    """
    size = remote.entry.size or 0
    with open(broken, "rb", buffering=0) as file:
        while (start := incoming.offset) < size:
            length = min(size, (start // PIECE + 1) * PIECE) - start
            here = b""
            with suppress(OSError):  # A broken disk raises an error.
                here = os.pread(file.fileno(), length, start)
            if len(here) == length and incoming.sum_after(here) == sums[start // PIECE]:
                yield here
                continue
            there = remote.read(start, length)
            if there != here and incoming.sum_after(there) != sums[start // PIECE]:
                raise _NotByRange("The source has other bytes now.")
            yield there


def _contradicts(promised: FileEntry, origin: _Origin, digest: Digest) -> bool:
    other_size = promised.size is not None and promised.size != origin.size
    comparable = promised.digest is not None and promised.digest.algorithm == digest.algorithm
    return other_size or (comparable and promised.digest != digest)


def _gone(origin: _Origin) -> ModelNotFound:
    return ModelNotFound(f"It no longer has {origin.path} with these bytes.", "Ingest what it has now.", uri=origin.uri)


def _is_here(version: ModelVersion, store: LocalBlobStore) -> bool:
    """Return whether the version is not to be served, or every blob of it is in the store."""
    return version.status != "PASSED" or all(
        entry.digest and store.has(entry.digest) for entry in version.manifest.files
    )
