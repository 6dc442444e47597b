"""The flow `fsck`: sound where registries and catalog agree, failed with the difference where not."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from flows.fsck import fsck
from flows.ingest import ingest
from tests.flows.conftest import model

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]


def test_a_registry_that_differs_fails_the_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_REGISTRIES", '["export"]')
    monkeypatch.setenv("WEIGHBRIDGE_FILE_ROOTS", f'["{home}"]')
    assert ingest(model(home, "tiny"), return_state=True).name == "Completed"
    sound = fsck(return_state=True)
    assert (sound.type, sound.name) == (StateType.COMPLETED, "Completed")
    (copy,) = [path for path in home.rglob("export/tiny/*/README.md") if not path.parent.is_symlink()]
    content = copy.read_bytes()
    copy.unlink()
    copy.write_bytes(content[::-1])
    broken = fsck(return_state=True)
    assert broken.type == StateType.FAILED
    assert "README.md" in str(broken.message)
    assert fsck(registries=False, return_state=True).name == "Completed"
