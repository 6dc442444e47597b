"""A shelf: a home with versions that passed, which were scanned by nobody: their reports are written here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weighbridge.config.settings import Settings
from weighbridge.domain import gate
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import publishing
from weighbridge.intake.workspace import Workspace, open_workspace

SCANNERS = ("archives", "clamav", "formats", "pickles")
CARD = ModelCard({"licence": Field("MIT", "README.md#license")})
VIRUS = Finding("clamav.signature", "error", "Win.Test.Made-1", "")
DENY = "name: house\nextends: standard\nlicence: {deny: [mit]}\n"
WAIVER = "waivers: [{rule: licence.denied, reason: agreed, by: legal, until: 2026-12-31}]\n"


class Shelf:
    """A home below a folder, at a time that stands still."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.now = folder, datetime(2026, 11, 21, 12, tzinfo=UTC)
        self._settings: dict[str, Any] = {"registries": ("export",)} | settings

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder / "home", **self._settings)

    def policy(self, text: str) -> None:
        (self.folder / "policy.yaml").write_text(text)

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        with open_workspace(self.settings, folder=self.folder) as workspace:
            workspace.resources.clock = lambda: self.now
            yield workspace

    def put(
        self, workspace: Workspace, name: str, number: str, content: str = "", publish: bool = True
    ) -> ModelVersion:
        """Add a version with one file of weights, judged under the policy of now, to the catalog and registries."""
        data = (content or f"{name} {number}").encode()
        digest = workspace.store.put([data])
        manifest = Manifest(ModelRef.parse(f"mock:{name}@1"), (FileEntry("a.safetensors", len(data), digest),))
        reports = tuple(report(manifest.files[0], scanner) for scanner in SCANNERS)
        decision = gate.decide(manifest, reports, CARD, workspace.operators_policy(), self.now)
        version = workspace.catalog.settle_version(
            name, manifest.ref.uri, manifest, CARD, decision, reports, lambda _: number
        )
        registries = [workspace.registry_at(one) for one in workspace.settings.registries] if publish else []
        return publishing.reconcile(version, registries, workspace)

    def given_out(self, name: str) -> list[str]:
        return sorted(path.name for path in (self.folder / "home" / "export" / name).glob("[0-9]*"))


def report(entry: FileEntry, scanner: str = "clamav", built: str = "2026-11-20", **fields: Any) -> ScanReport:
    """Return a clean report about a file, by an engine whose signatures are of a date."""
    assert entry.digest is not None
    assert entry.size is not None
    engine = (("database", "official"), ("database_date", built)) if scanner == "clamav" else ()
    plain = ScanReport(entry.digest, scanner, "1", f"rules-{built}", "safetensors", "completed", entry.size, entry.size)
    return replace(plain, engine=engine, **fields)
