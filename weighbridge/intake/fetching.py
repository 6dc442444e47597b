"""Fetching: the files of a declared manifest become blobs, each byte hashed on the way in and each blob fetched once.

Not here: requests to a source (sources), storing blobs (store.local), or the files that a model must have
(intake.verifying).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import IntegrityError, SourceMisbehaved, SourceUnavailable
from weighbridge.net.pace import Pace
from weighbridge.net.retrying import Retrying
from weighbridge.sources.interface import Source
from weighbridge.store.incoming import Incoming
from weighbridge.store.local import LocalBlobStore

_log = logging.getLogger(__name__)


def fetch(
    source: Source,
    ref: ModelRef,
    entry: FileEntry,
    store: LocalBlobStore,
    progress: Progress | None = None,
    retrying: Retrying | None = None,
    pace: Pace | None = None,
) -> FileEntry:
    """Bring one file into the store and return its computed entry: path, real size, sha256.

    1. A blob that is in the store already, under its sha256 or another identity of the source, is not requested.
    2. The download resumes after the bytes of an earlier attempt that match their piece sums; a source that cannot
       resume starts again.
    3. More or fewer bytes than promised are refused while they stream.
    4. The promised digest is compared before the blob gets its name; a resumed blob that is wrong is fetched once
       more from the start, since the earlier bytes may be the wrong ones.

    Raises:
        IntegrityError: other bytes than promised.
        SourceMisbehaved: the source contradicts its own length, or never ends.
        SourceUnavailable: no byte came in several attempts (`retrying`), or hardly any (`pace`).
        StoreFull: no space left.
    """
    progress = progress or Silent()
    known = known_blob(ref, entry, store)
    if known is None:
        known = _Fetch(source, ref, entry, progress, retrying or Retrying(), pace or Pace()).receive(store)
    else:
        progress.skip("fetch", entry.size or 0)
    return replace(entry, size=store.size(known), digest=known, version="", locator="")


def known_blob(ref: ModelRef, entry: FileEntry, store: LocalBlobStore) -> Digest | None:
    """Return the sha256 of a declared file whose bytes are in the store, or None."""
    if entry.digest and entry.digest.algorithm == "sha256":
        return entry.digest if store.has(entry.digest) else None
    identity = _identity(ref, entry)
    return store.recall(identity) if identity else None


def receiving_key(ref: ModelRef, entry: FileEntry) -> str:
    """Return the key under which the store receives a declared file."""
    return _identity(ref, entry) or f"{ref.uri}#{entry.path}"


def _identity(ref: ModelRef, entry: FileEntry) -> str:
    if entry.digest:
        return str(entry.digest)
    return f"{ref.kind}:{ref.id}#{entry.path}@{entry.version}" if entry.version else ""


@dataclass
class _Fetch:
    """The download of one file.

    Attributes:
        told: how many of its bytes were reported as progress.
        promised: bytes that the response promises, where the source does not.
        begun_at: when it began, in the seconds of `time.monotonic`.
    """

    source: Source
    ref: ModelRef
    entry: FileEntry
    progress: Progress
    retrying: Retrying
    pace: Pace
    told: int = 0
    promised: int = 0
    begun_at: float = 0.0

    def receive(self, store: LocalBlobStore) -> Digest:
        entry, identity = self.entry, _identity(self.ref, self.entry)
        extra = (entry.digest.algorithm,) if entry.digest else ()
        with store.receive(receiving_key(self.ref, entry), extra=extra, size=entry.size) as incoming:
            known = known_blob(self.ref, entry, store)  # Another process may have fetched it while this one waited.
            if known is not None:
                self.progress.skip("fetch", entry.size or 0)
                return known
            if not identity or (entry.size is not None and incoming.offset > entry.size):
                incoming.restart()
            wanted = {"bytes": entry.size, "received": incoming.offset, "model": self.ref.uri, "path": entry.path}
            _log.info("caching", extra=wanted)
            resumed, self.begun_at = incoming.offset > 0, time.monotonic()
            self._skip_to(incoming.offset)
            self._stream(incoming)
            try:
                digest = incoming.commit(entry.digest)
            except IntegrityError as error:
                if not resumed:
                    raise _named(error, entry) from error
                self._skip_to(incoming.offset)
                self._stream(incoming)
                try:
                    digest = incoming.commit(entry.digest)
                except IntegrityError as again:
                    raise _named(again, entry) from again
        if identity:
            store.remember(identity, digest)
        return digest

    def _stream(self, incoming: Incoming) -> None:
        entry, fruitless = self.entry, 0
        while entry.size is None or incoming.offset < entry.size:  # An empty file needs no request.
            before = incoming.offset
            try:
                for chunk in self._chunks(incoming):
                    self.retrying.go_on()
                    incoming.write(chunk)
                    self.progress.advance("fetch", len(chunk))
                    self.told += len(chunk)
                if entry.size is None or incoming.offset == entry.size:
                    return
                raise SourceUnavailable(
                    f"{entry.path} ended after {incoming.offset} of {entry.size} bytes.",
                    "Run the same command again: it resumes where it stopped.",
                    path=entry.path,
                )
            except SourceMisbehaved:
                if entry.size is None:
                    incoming.restart()  # Without a size, the received bytes may belong to an endless stream.
                raise
            except SourceUnavailable as error:
                came = incoming.offset > before and not error.facts.get("slow")
                fruitless = 1 if came else fruitless + 1
                self.retrying.wait_after(error, fruitless)

    def _skip_to(self, offset: int) -> None:
        """Correct the progress of a file that continues at an offset."""
        self.progress.skip("fetch", offset - self.told)
        self.told = offset

    def _chunks(self, incoming: Incoming) -> Iterator[bytes]:
        """Yield the bytes after `incoming.offset`, refusing a stream of another length than promised."""
        entry = self.entry
        with self.source.open(self.ref, entry, incoming.offset) as stream:
            if entry.size is not None and stream.size is not None and stream.size != entry.size:
                raise SourceMisbehaved(
                    f"{entry.path} was promised with {entry.size} bytes, but is sent with {stream.size}.",
                    "The file changed upstream, or a proxy on the way changes it. Nothing was kept; try again later.",
                    path=entry.path,
                    expected=entry.size,
                    actual=stream.size,
                )
            if stream.offset != incoming.offset:
                if stream.offset != 0:
                    raise SourceMisbehaved(f"{entry.path} was resumed at a byte nobody asked for.", path=entry.path)
                incoming.restart()
                self._skip_to(0)
            if entry.size is None and stream.size is not None:
                incoming.expect(stream.size)
                if not self.promised:
                    self.promised = stream.size
                    self.progress.expect("fetch", stream.size)
            received, promised = incoming.offset, entry.size is not None or stream.size is not None
            for chunk in self.pace.held(stream.chunks, entry.path, promised, since=self.begun_at):
                received += len(chunk)
                if entry.size is not None and received > entry.size:
                    incoming.restart()
                    raise SourceMisbehaved(
                        f"{entry.path} was promised with {entry.size} bytes, but more are sent.",
                        "The file changed upstream, or a proxy on the way changes it. Nothing was kept.",
                        path=entry.path,
                        expected=entry.size,
                    )
                yield chunk


def _named(error: IntegrityError, entry: FileEntry) -> IntegrityError:
    return IntegrityError(f"{entry.path}: {error.problem}", error.remedy, **error.facts, path=entry.path)
