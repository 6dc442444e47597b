"""Previewing: what an ingest would take in, and what it would reject by headers alone, before weights are fetched.

Small files are read whole, safetensors and GGUF files up to the end of the header; all others are listed as not read.
Nothing is kept. Not here: the verdict on a model (intake.steps), which needs every byte.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from weighbridge.content.cards.describe import describe
from weighbridge.content.model_signatures.checking import candidates
from weighbridge.domain import gate
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Reason
from weighbridge.domain.digest import Digest
from weighbridge.domain.format_names import may_hold_weights, named_format
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.names import checked_name
from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.report import ScanReport
from weighbridge.errors import AccessDenied, BlobMissing, SourceError
from weighbridge.intake import fetching, scanning, steps
from weighbridge.intake.job import Job
from weighbridge.intake.scanning import Engines
from weighbridge.scanners import SCANNERS

#: The largest file without weights that is read whole, and the most that is read of a header, in bytes.
SMALL, HEADER = 4 << 20, 64 << 20
#: Bytes and files that a preview reads at most.
BUDGET, MAX_FILES = 256 << 20, 500
_HEADED = (".safetensors", ".gguf")
_GGUF_HEADER = 24 << 20
#: Rules that judge whether files were scanned, and not the findings.
_OF_SCANS = frozenset({"scanners.required", "scanners.incomplete", "scanners.database", "coverage"})
_NOT_FETCHED = "not fetched"


@dataclass(frozen=True)
class Preview:
    """What an ingest would take in.

    Attributes:
        name: the model's name in the catalog.
        declared: the manifest that the source declares now.
        card: the model card, as far as small files and headers determine it.
        need: bytes that an ingest would fetch, as far as sizes are known.
        free: free bytes on the disk of the store.
        refused: why the source refuses its files, such as a gated model; empty where it does not.
        rejections: why the policy would reject it, by the files that were read.
        policy: the policy's name.
        unknown: what is not known yet, one sentence each.
    """

    name: str
    declared: Manifest
    card: ModelCard
    need: int
    free: int
    refused: str
    rejections: tuple[Reason, ...]
    policy: str
    unknown: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Return whether the disk has room for the bytes to fetch."""
        return self.need <= self.free

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "name": self.name,
            "pinned": self.declared.ref.uri,
            "files": [entry.to_json() for entry in self.declared.files],
            "size": self.declared.size,
            "need": self.need,
            "free": self.free,
            "fits": self.fits,
            "licence": self.card.get("licence"),
            "gated": self.declared.gated,
            "refused": self.refused,
            "card": self.card.to_json(),
            "policy": self.policy,
            "rejected": bool(self.rejections),
            "rejections": [dict(vars(reason)) for reason in self.rejections],
            "unknown": list(self.unknown),
        }


def preview(job: Job) -> Preview:
    """Return what an ingest of a job would take in; keeps nothing, and fetches no weights.

    Raises:
        InvalidName, NameTaken: an ingest would be refused.
        SourceError: the source does not answer, or does not have the model.
    """
    workspace = job.workspace
    checked_name(job.request.model)
    declared = steps.resolve(job)
    steps.admit(job, declared)
    store = workspace.store
    here = steps.recall(job, declared) is not None
    missing = [] if here else [one for one in declared.files if not fetching.known_blob(declared.ref, one, store)]
    with tempfile.TemporaryDirectory(prefix="weighbridge-preview-") as folder:
        seen = _Seen(job, declared, Path(folder))
        refused = seen.read()
        card = describe(Manifest(declared.ref, tuple(seen.entries)), seen)
        rejections = _rejections(job, declared, seen, card, bool(refused or declared.archive))
    return Preview(
        name=job.request.model,
        declared=declared,
        card=card,
        need=sum(entry.size or 0 for entry in missing),
        free=shutil.disk_usage(store.root).free,
        refused=refused,
        rejections=rejections,
        policy=job.policy.name,
        unknown=tuple(_unknown(declared, seen, missing)),
    )


class _Seen:
    """The files that are read, whole or up to the header's end, in a folder of their own; satisfies `BlobStore`."""

    def __init__(self, job: Job, declared: Manifest, folder: Path) -> None:
        self._job, self._declared, self._folder = job, declared, folder
        self._paths: dict[Digest, Path] = {}
        self._left = BUDGET
        self.entries: list[FileEntry] = []
        self.headers: set[str] = set()
        self.failed: dict[str, str] = {}

    def read(self) -> str:
        """Read what may be read; return why the source refuses its files, or an empty text."""
        wanted = [] if self._declared.archive else [one for one in self._declared.files if _part(one)]
        for entry in sorted(wanted, key=lambda one: one.size or 0)[:MAX_FILES]:
            if self._left <= 0:
                break
            try:
                self._take(entry)
            except AccessDenied as error:
                return str(error)
            except SourceError as error:
                self.failed[entry.path] = error.problem
        return ""

    def _take(self, entry: FileEntry) -> None:
        content, size = self._job.workspace.retrying.call(lambda: self._head(entry))
        self._left -= len(content)
        whole = len(content) == size
        # The rest of the file is a hole: so a header's sizes and offsets are checked against the real size, at no cost.
        digest = Digest.sha256(content if whole else b"header of " + entry.path.encode())
        path = self._paths[digest] = self._folder / digest.hex
        with open(path, "wb") as file:
            file.write(content)
            file.truncate(size)
        self.entries.append(replace(entry, size=size, digest=digest))
        if not whole:
            self.headers.add(entry.path)

    def _head(self, entry: FileEntry) -> tuple[bytes, int]:
        """Return the first bytes of a file, all of a small one, and its whole size."""
        limit, head = min(_part(entry), self._left), bytearray()
        with self._job.source.open(self._declared.ref, entry) as stream:
            size = entry.size if entry.size is not None else stream.size
            for chunk in stream.chunks:
                head += chunk
                if entry.path.lower().endswith(".safetensors") and len(head) >= 8:
                    limit = min(limit, 8 + int.from_bytes(head[:8], "little"))
                if len(head) >= limit and size != len(head):
                    break
            else:
                size = len(head) if size is None else size
        if size is None:
            raise SourceError("its size is unknown, so its header cannot be checked against it.")
        return bytes(head[: min(max(limit, 0), size)]), size

    def has(self, digest: Digest) -> bool:
        """Return whether a file was read."""
        return digest in self._paths

    def path(self, digest: Digest) -> Path:
        """Return the path of a file that was read. Raises BlobMissing."""
        if digest not in self._paths:
            raise BlobMissing(f"The preview read nothing of {digest}.")
        return self._paths[digest]

    def prove(self, digest: Digest, heard: Heard = unheard) -> None:
        """Do nothing: no file of a preview is given out."""
        self.path(digest)

    def open(self, digest: Digest) -> BinaryIO:
        """Open a file that was read."""
        return open(self.path(digest), "rb")


def _part(entry: FileEntry) -> int:
    """Return the most bytes that are read of a file; 0 for none."""
    name = entry.path.lower()
    if name.endswith(_HEADED):
        return _GGUF_HEADER if name.endswith(".gguf") else HEADER
    small = entry.size is not None and entry.size <= SMALL
    return SMALL if small and not may_hold_weights(name) else 0


def _rejections(job: Job, declared: Manifest, seen: _Seen, card: ModelCard, unopened: bool) -> tuple[Reason, ...]:
    """Judge what was read, and the rest by names and sizes, as the gate does; without rules that need a full scan.

    A model that could not be opened is judged by its names only.
    """
    by_path = {entry.path: entry for entry in seen.entries}
    files = [by_path.get(one.path) or replace(one, digest=_stand_in(one)) for one in declared.files]
    reports = [*_scanned(job, seen), *(_unseen(one) for one in files if one.path not in by_path)]
    policy = replace(job.policy, required=())
    decision = gate.decide(Manifest(declared.ref, tuple(files)), reports, card, policy, job.workspace.clock())
    return tuple(
        reason
        for reason in decision.reasons
        if reason.effect == "reject"
        and reason.rule not in _OF_SCANS
        and not (reason.rule == "files.missing" and reason.path in declared.by_path)
        and not (unopened and reason.rule.startswith("licence"))
        and not (reason.rule.startswith("publisher.") and candidates(declared))
        and not (declared.archive and reason.rule != "files.max_size")
    )


def _scanned(job: Job, seen: _Seen) -> Iterable[ScanReport]:
    whole = [entry for entry in seen.entries if entry.path not in seen.headers]
    headers = [entry for entry in seen.entries if entry.path in seen.headers]
    with ExitStack() as stack:
        for entries, names in ((whole, ("archives", "formats", "pickles")), (headers, ("formats",))):
            engines = Engines.of([SCANNERS[name](job.workspace.settings, stack) for name in names])
            yield from scanning.scan(scanning.subjects(entries, seen), engines, (), job.workspace.scan_slots)


def _stand_in(entry: FileEntry) -> Digest:
    return Digest.sha256(b"not fetched: " + entry.path.encode())


def _unseen(entry: FileEntry) -> ScanReport:
    """Return a report of a file that was not read, with the format that its name promises."""
    kind = named_format(entry.path) or "unknown"
    return ScanReport(_stand_in(entry), "formats", "", "", kind, "skipped", 0, entry.size or 0, _NOT_FETCHED)


def _unknown(declared: Manifest, seen: _Seen, missing: Sequence[FileEntry]) -> Iterable[str]:
    if declared.archive:
        yield f"What is in {declared.files[0].path}: an archive is read once it is here."
    unsized = [entry.path for entry in missing if entry.size is None]
    if unsized:
        yield f"The size of {_some(unsized)}: the source does not declare it."
    yield from (f"What {path} holds: {why}" for path, why in seen.failed.items())
    read = {entry.path for entry in seen.entries} | set(seen.failed)
    unread = [] if declared.archive else [entry.path for entry in declared.files if entry.path not in read]
    if unread:
        yield f"What {_some(unread)} would be rejected for: only names and sizes were looked at."
    if seen.headers:
        yield f"What comes after the header in {_some(sorted(seen.headers))}."
    yield "What ClamAV finds: it reads every byte, so only an ingest can tell."


def _some(paths: Collection[str], limit: int = 3) -> str:
    first = ", ".join(list(paths)[:limit])
    return first if len(paths) <= limit else f"{first} and {len(paths) - limit} more"
