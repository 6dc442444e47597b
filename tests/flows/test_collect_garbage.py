"""The flow `collect_garbage`: what a removed version needed goes, what is needed stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.collect_garbage import collect_garbage
from flows.ingest import ingest
from tests.flows.conftest import model
from weighbridge.config.settings import Settings
from weighbridge.intake.removing import remove
from weighbridge.intake.workspace import open_workspace

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]


def test_what_nothing_needs_is_deleted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_REGISTRIES", '["export"]')
    monkeypatch.setenv("WEIGHBRIDGE_FILE_ROOTS", f'["{home}"]')
    assert ingest(model(home, "tiny"), return_state=True).name == "Completed"
    with open_workspace(Settings()) as workspace:
        kept = set(workspace.store.digests())
        garbage = workspace.store.put([b"nothing needs this"])
    dry = collect_garbage(dry_run=True, return_state=True)
    assert (dry.name, dry.message) == ("Completed", "Would delete 1 blob of 18 B; 18 B freed.")
    young = collect_garbage(older_than_days=1, return_state=True)
    assert "0 blobs" in str(young.message)
    done = collect_garbage(return_state=True)
    assert (done.name, done.message) == ("Completed", "Deleted 1 blob of 18 B; 18 B freed.")
    with open_workspace(Settings()) as workspace:
        assert set(workspace.store.digests()) == kept
        assert garbage not in kept
        remove("tiny@1.0.0", workspace)
    (home / "models.lock").write_text("<<<<<<< HEAD\n")
    assert collect_garbage(return_state=True).name == "Failed"
    (home / "models.lock").unlink()
    assert collect_garbage(return_state=True).name == "Completed"
    with open_workspace(Settings()) as workspace:
        assert set(workspace.store.digests()) == set()
