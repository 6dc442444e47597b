"""The flow `preload` embedded: what is missing is taken in, all or none lands in the cache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from flows.preload import preload
from tests.flows.conftest import model
from tests.flows.test_benchmark import artifacts
from weighbridge.scanners.clamd.database import eicar

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]


def test_chosen_models_land_in_the_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    lines = [f"  - {{name: org/{name}, source: '{model(home, name)}'}}" for name in ("one", "two")]
    lines.append(f"  - {{name: org/evil, source: '{model(home, 'evil', notes__txt=eicar())}'}}")
    (home / "models.yaml").write_text("\n".join(["models:", *lines]) + "\n")

    missing = preload("org/one", download=False, return_state=True)
    assert (missing.type, missing.name) == (StateType.FAILED, "Failed")
    assert "org/one" in str(missing.message)

    done = preload("org/one", return_state=True)
    assert (done.type, done.message) == (StateType.COMPLETED, "In the cache: org/one.")
    (row,) = json.loads(artifacts(done)["table:preload"])
    assert sorted(path.name for path in Path(row["path"]).iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert row["path"].startswith(str(home / "hf" / "hub"))

    rejected = preload("org/two,org/evil", return_state=True)
    assert rejected.type == StateType.FAILED
    assert "org/evil" in str(rejected.message)
    assert not list((home / "hf").rglob("models--org--two"))
