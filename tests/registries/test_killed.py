"""Publishing that is killed at any point and done again: exactly one version, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registries import killing
from tests.registries.conftest import build, contents
from tests.registries.values import CONTENT, put
from weighbridge.registries.mlflow_session import load_mlflow
from weighbridge.store.local import LocalBlobStore

#: How names begin that a kill leaves: a folder and a file that are not in their places yet.
LEFT = (".staging", ".writing-")


@pytest.mark.parametrize(("kind", "published"), [("export-plain", "org--name/1.0.0"), ("export-hf-cache", "")])
def test_an_export_killed_before_each_change_of_a_folder(
    kind: str, published: str, store: LocalBlobStore, tmp_path: Path
) -> None:
    version = put(store)
    published = published or f"models--org--name/snapshots/{version.manifest.digest.hex[:40]}"
    for point in range(1, 100):
        folder = tmp_path / str(point)
        registry, _ = build(kind, folder, None)
        killed = killing.publish_and_die(killing.before_file_event, point, registry, version, store)
        if (folder / published).exists():
            assert contents(folder / published) == CONTENT
        registry.publish(version, store)
        assert contents(folder / published) == CONTENT
        assert [path for path in folder.rglob("*") if path.name.startswith(LEFT) or ".partial" in path.name] == []
        if not killed:
            assert point > 5
            return
    pytest.fail("it never finished")


def test_mlflow_killed_after_each_change(store: LocalBlobStore, tmp_path: Path) -> None:
    registry, _ = build("mlflow-embedded", tmp_path, None)
    points = [(killing.after_mlflow_call, call) for call in killing.MLFLOW_CALLS]
    for number, (arm, point) in enumerate([*points, (killing.before_file_event, 6)]):
        version = put(store, name=f"m{number}")
        if point == "create_experiment" and number:
            registry, _ = build("mlflow-embedded", tmp_path / "fresh", None)
        assert killing.publish_and_die(arm, point, registry, version, store)
        publication = registry.publish(version, store)
        client = load_mlflow().MlflowClient(registry._server.uri, registry._server.uri)  # type: ignore[attr-defined]
        (found,) = client.search_model_versions(f"name = 'm{number}'")
        assert publication.location == f"models:/m{number}/1"
        assert {name: str(value) for name, value in client.get_registered_model(found.name).aliases.items()} == {
            "default": "1"
        }
        assert contents(Path(found.source.removeprefix("file://"))) == CONTENT
        runs = client.search_runs([client.get_experiment_by_name("weighbridge").experiment_id])
        assert len([run for run in runs if run.data.tags["registered_model"] == f"m{number}"]) == 1
        assert list((tmp_path / "artifacts").rglob("*.partial-*")) == []
