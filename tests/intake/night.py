"""A night: a home with one wanted model, and syncs of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weighbridge.config.settings import Settings
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import chain, syncing
from weighbridge.intake.job import Job
from weighbridge.intake.locking import LockRequest, lock_models
from weighbridge.intake.syncing import Plan, SyncReport, SyncRequest
from weighbridge.intake.workspace import Workspace, open_workspace

LOOSE = "name: house\nextends: minimal\n"


DENY = LOOSE + "licence: {deny: [mit]}\n"


WAIVED = DENY + "waivers: [{rule: licence.denied, reason: agreed, by: legal, until: 2026-01-31}]\n"


class Night:
    """A home with one wanted model, `m` or another name, and syncs of it."""

    def __init__(self, folder: Path, name: str = "m", **settings: Any) -> None:
        self.folder, self.name, self.now = folder, name, datetime(2026, 1, 1, tzinfo=UTC)
        self._settings: dict[str, Any] = {"registries": ("export",)} | settings
        (folder / "m").mkdir()
        self.put("config.json", '{"model_type": "llama"}')
        self.put("README.md", "---\nlicense: mit\n---\n")
        self.policy(LOOSE)
        self.wanted()

    def put(self, name: str, text: str) -> None:
        (self.folder / "m" / name).write_text(text)

    def policy(self, text: str) -> None:
        (self.folder / "policy.yaml").write_text(text)

    def wanted(self, more: str = "") -> None:
        text = f"models:\n- {{name: {self.name}, source: {{file: {{path: {self.folder}/m}}}}{more}}}\n"
        (self.folder / "models.yaml").write_text(text)

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        settings = Settings(home=self.folder / "home", **self._settings)
        with open_workspace(settings, folder=self.folder) as workspace:
            workspace.resources.clock = lambda: self.now
            yield workspace

    def sync(self, *, locked: bool = False) -> SyncReport:
        with self.open() as workspace:
            return syncing.sync(self.request(locked=locked), workspace, take_in)

    def plan(self, *, locked: bool = False) -> Plan:
        with self.open() as workspace:
            return syncing.plan(self.request(locked=locked), workspace)

    def lock(self) -> None:
        with self.open() as workspace, chain.Direct() as runner:
            lock_models(LockRequest(str(self.folder / "models.yaml")), workspace, runner)

    def request(self, *, locked: bool = False) -> SyncRequest:
        return SyncRequest(str(self.folder / "models.yaml"), locked=locked)

    @property
    def version(self) -> ModelVersion:
        with self.open() as workspace:
            found = workspace.catalog.get(self.name)
        assert found is not None
        return found

    @property
    def given_out(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "home" / "export" / self.name).glob("[0-9]*"))


def take_in(job: Job) -> chain.Outcome:
    with chain.Direct() as runner:
        return chain.ingest(job, runner)


def verdicts(done: SyncReport) -> dict[str, str]:
    return {outcome.version.name: outcome.version.status for outcome in done.ingested}
