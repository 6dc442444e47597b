"""A bundle: versions with all that is known of them, in one file that carries them to where no network leads.

Values only. Not here: the file itself (content.bundles), and what is believed of it (intake.unbundling).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.report import SCANNED_AT, SCANNED_BY, ScanReport
from weighbridge.domain.result import BenchmarkResult

FORMAT = "weighbridge.bundle/1"
#: What a signature is over: this and the digest of the index, so that no signature of something else fits.
SIGNED = f"{FORMAT} "
#: Where a result that was measured elsewhere says by whom, among its software.
MEASURED_BY = "measured_by"


@dataclass(frozen=True)
class BundleMember:
    """One file of a bundle: its path in it, its bytes, and their sha256."""

    path: str
    size: int
    digest: Digest


@dataclass(frozen=True)
class BundleIndex:
    """The first file of a bundle, which names all others.

    Attributes:
        versions: model and number of each version, in the order of their documents.
        documents: one a version.
        blobs: sorted by digest, each once.
    """

    versions: tuple[tuple[str, str], ...]
    documents: tuple[BundleMember, ...]
    blobs: tuple[BundleMember, ...]

    @property
    def members(self) -> tuple[BundleMember, ...]:
        """Every file after the index and its signature, in their order."""
        return (*self.documents, *self.blobs)

    @property
    def size(self) -> int:
        """Bytes of all files after the index."""
        return sum(member.size for member in self.members)

    @cached_property
    def content(self) -> bytes:
        """The canonical JSON of the index: equal bundles have equal bytes."""
        members = [{"path": one.path, "size": one.size, "sha256": one.digest.hex} for one in self.members]
        versions = [
            {"name": name, "version": number, "document": document.path}
            for (name, number), document in zip(self.versions, self.documents, strict=True)
        ]
        return canonical({"format": FORMAT, "versions": versions, "members": members})

    @cached_property
    def digest(self) -> Digest:
        """What a bundle is known by: sha256 of its index, which holds the digests of all else."""
        return Digest.sha256(self.content)

    @property
    def signed(self) -> bytes:
        """What a signature of the bundle is over."""
        return f"{SIGNED}{self.digest}".encode()


@dataclass(frozen=True)
class Signature:
    """A signature of a bundle: the public key as text, and the bytes."""

    key: str
    value: bytes


@dataclass(frozen=True)
class BundledVersion:
    """A version as a bundle carries it: what the side that packed it knows of it.

    Attributes:
        name: the model's name there.
        number: the version's number there.
        manifest: every file with size and sha256, with the reference that it came from there.
        card: its model card.
        decision: the gate's decision there.
        decided_at: when; ISO 8601, UTC; empty where that is not known.
        reports: those that the decision rests on.
        results: of benchmarks, with their samples.
        declared: what was declared of the model, by field.
        declared_by: who declared it.
        changelog: what is new in the version, in the words of those who said so.
        licence: the licence as an expression; empty where none is stated.
        acknowledge: whether it had to be acknowledged there before files were given out.
    """

    name: str
    number: str
    manifest: Manifest
    card: ModelCard
    decision: Decision
    decided_at: str = ""
    reports: tuple[ScanReport, ...] = ()
    results: tuple[BenchmarkResult, ...] = ()
    declared: Mapping[str, Any] = field(default_factory=dict)
    declared_by: str = ""
    changelog: str = ""
    licence: str = ""
    acknowledge: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; docs/formats.md."""
        ref = self.manifest.ref
        return {
            "name": self.name,
            "version": self.number,
            "source": ref.uri,
            "ref": {"kind": ref.kind, "id": ref.id, "revision": ref.revision, "options": list(map(list, ref.options))},
            "gated": self.manifest.gated,
            "manifest": str(self.manifest.digest),
            "files": [entry.to_json() for entry in self.manifest.files],
            "card": self.card.to_json(),
            "decision": self.decision.to_json(),
            "decided_at": self.decided_at,
            "reports": [report.to_json() for report in self.reports],
            "results": [result.to_json() for result in self.results],
            "declared": dict(self.declared),
            "declared_by": self.declared_by,
            "changelog": self.changelog,
            "licence": {"expression": self.licence, "acknowledge": self.acknowledge},
        }


def canonical(content: Any) -> bytes:
    """Return canonical JSON: keys sorted, no spaces, UTF-8."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def scanned_by(report: ScanReport, by: str, at: str) -> ScanReport:
    """Return a report that names who scanned, and when, as it was not this installation.

    Its rules name it too, so that no scan here takes it for a report of its own engine.
    """
    engine = dict(report.engine)
    through = f"{engine[SCANNED_BY]}, through {by}" if SCANNED_BY in engine else by
    engine |= {SCANNED_BY: through, SCANNED_AT: engine.get(SCANNED_AT) or at}
    return replace(report, rules=f"{by}:{report.rules}", engine=tuple(sorted(engine.items())))


def measured_by(result: BenchmarkResult, by: str) -> BenchmarkResult:
    """Return a result that names who measured, as it was not this installation."""
    earlier = result.software.get(MEASURED_BY)
    return replace(result, software={**result.software, MEASURED_BY: f"{earlier}, through {by}" if earlier else by})
