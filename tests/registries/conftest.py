"""The registries under test, each with a way to read back what it gives out as its users would."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.mlflow import PASSWORD, USERNAME, MLflowServer
from weighbridge.domain.version import Publication
from weighbridge.registries.export import ExportRegistry
from weighbridge.registries.interface import Registry
from weighbridge.registries.mlflow import MLflowRegistry
from weighbridge.registries.mlflow_session import load_mlflow

KINDS = (
    "mlflow-embedded",
    pytest.param("mlflow-server", marks=pytest.mark.xdist_group("mlflow")),
    "export-plain",
    "export-hf-cache",
)


@dataclass(frozen=True)
class Subject:
    """A registry under test.

    Attributes:
        kind: of `KINDS`.
        registry: the adapter.
        name: a model name that no other test uses, as the server is shared.
        environment: what its users have set.
    """

    kind: str
    registry: Registry
    name: str
    environment: Mapping[str, str]

    def read(self, publication: Publication) -> dict[str, bytes]:
        """Run all loading lines but the last and return the files that they lead to."""
        if self.kind == "export-hf-cache":
            return self.read_afresh(publication)
        found: dict[str, str] = {}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**self.environment, "MLFLOW_TRACKING_URI": ""}.items():
                patch.setenv(name, value)
            try:
                exec("\n".join(publication.load[:-1]), {}, found)
            except load_mlflow().exceptions.MlflowException as error:
                raise FileNotFoundError(error) from error
            finally:
                load_mlflow().set_tracking_uri(None)
        return contents(Path(found["path"]))

    def read_afresh(self, publication: Publication) -> dict[str, bytes]:
        """Do the same in a new Python, as a user would."""
        code = "\n".join([*publication.load[:-1], "print('PATH=' + path)"])
        environment = {**os.environ, **self.environment, "PYTHONWARNINGS": "ignore", "MLFLOW_LOGGING_LEVEL": "ERROR"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        path = next((line[5:] for line in done.stdout.splitlines() if line.startswith("PATH=")), None)
        if path is None:
            raise FileNotFoundError(done.stderr)
        return contents(Path(path))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@functools.cache
def _database() -> bytes:
    """Return an MLflow database without entries: making one takes a second, copying it none."""
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        load_mlflow().MlflowClient(uri, uri)._tracking_client.store.engine.dispose()
        return Path(folder, "mlflow.db").read_bytes()


def embedded(folder: Path) -> MLflowRegistry:
    """Return an embedded MLflow registry whose tables exist already."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "mlflow.db").exists():
        (folder / "mlflow.db").write_bytes(_database())
    return MLflowRegistry.embedded(folder)


def build(kind: str, folder: Path, server: MLflowServer | None) -> tuple[Registry, dict[str, str]]:
    """Return a registry of a kind and its users' environment."""
    if kind == "mlflow-embedded":
        return embedded(folder), {}
    if kind == "mlflow-server":
        assert server is not None
        credentials = {"MLFLOW_TRACKING_USERNAME": USERNAME, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
        return MLflowRegistry(server.uri, username=USERNAME, password=PASSWORD), credentials
    if kind == "export-plain":
        return ExportRegistry(folder), {}
    return ExportRegistry(folder, "hf-cache"), {}


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """Return each registry in turn."""
    kind = str(request.param)
    server = request.getfixturevalue("mlflow_server") if kind == "mlflow-server" else None
    registry, environment = build(kind, tmp_path / "registry", server)
    return Subject(kind, registry, f"org/m-{uuid.uuid4().hex[:8]}", environment)
