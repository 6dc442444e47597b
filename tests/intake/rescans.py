"""Rescans of a home: models that passed under old signatures, and signatures that are newer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.services.clamd import signatures
from weighbridge.config.settings import Settings
from weighbridge.domain.digest import Digest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.rescans import RescanRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import chain
from weighbridge.intake.job import Job
from weighbridge.intake.rescanning import RescanReport, rescan
from weighbridge.intake.workspace import Workspace, open_workspace

#: Content that nobody knew as malware when it came.
LATER = b"what turns out to be malware " * 9


class House:
    """A home with models, whose clamd is private."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.signatures = folder, signatures(folder / "signatures")
        self._settings: dict[str, Any] = {"registries": ("export",), "policy": "minimal"} | settings

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder / "home", clamav_database=self.signatures, **self._settings)

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        with open_workspace(self.settings, folder=self.folder) as workspace:
            yield workspace

    def take_in(self, name: str, *, version: str = "", **files: bytes) -> ModelVersion:
        """Take a model in; `a__txt` is the file a.txt."""
        place = self.folder / "models" / name
        place.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            (place / path.replace("__", ".")).write_bytes(content)
        request = IngestRequest(ModelRef.parse(f"file:{place}"), name=name, version=version)
        with self.open() as workspace, chain.Direct() as runner:
            return chain.ingest(Job.of(request, workspace), runner).version

    def learn(self, content: bytes = b"something else", name: str = "later") -> None:
        """Make the signatures newer: from now on they know a content as malware, as a whole file."""
        line = f"{Digest.sha256(content).hex}:{len(content)}:Local.Test.{name.title()}:73\n"
        (self.signatures / f"{name}.hsb").write_text(line)

    def rescan(self, *models: str, **options: Any) -> RescanReport:
        with self.open() as workspace:
            return rescan(RescanRequest(models, **options), workspace)

    def status(self, name: str) -> str:
        with self.open() as workspace:
            found = workspace.catalog.get(name)
        assert found is not None
        return found.status
