"""Two sides of an air gap: installations with homes and policies of their own, and one clamd for all of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.test_results import result
from tests.cli.conftest import README, SHIPPED
from tests.content.bundles.packing import compressed, documents, index_of, parts, signature_part, tape
from tests.services.clamd import signatures
from weighbridge.config.bundle_keys import made_key, own_key
from weighbridge.config.settings import Settings
from weighbridge.domain.bundle import BundledVersion
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import chain
from weighbridge.intake.bundling import Bundled, BundleRequest, bundle
from weighbridge.intake.job import Job
from weighbridge.intake.unbundling import Imported, ImportRequest, import_bundle
from weighbridge.intake.workspace import Workspace, open_workspace
from weighbridge.scanners.clamd.daemon import Daemon

OTHER = SHIPPED | {"README.md": README + b"Another one.\n"}
HOUSE = "name: house\nextends: minimal\nrequired: [clamav, formats, pickles]\n"


class Side:
    """An installation."""

    def __init__(self, folder: Path, clamd: str, policy: str = HOUSE, **settings: Any) -> None:
        self.folder, self.now = folder, datetime(2026, 11, 28, 12, tzinfo=UTC)
        self._settings: dict[str, Any] = {"registries": ("export",), "clamd": clamd} | settings
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policy.yaml").write_text(policy)

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder / "home", **self._settings)

    @property
    def key(self) -> str:
        """Its public key; from now on it signs."""
        return made_key(self.settings)[0].text

    def trusting(self, **keys: str) -> Side:
        """Make this side trust keys, and return it."""
        self._settings["trusted_bundle_keys"] = keys
        return self

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        with open_workspace(self.settings, folder=self.folder, actor="cli:ada") as workspace:
            workspace.resources.clock = lambda: self.now
            yield workspace

    def ingest(self, name: str, files: Mapping[str, bytes] = SHIPPED, version: str = "") -> ModelVersion:
        folder = self.folder / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            (folder / path).write_bytes(content)
        request = IngestRequest(ModelRef.parse(f"file:{folder}"), name=name, version=version)
        with self.open() as workspace, chain.Direct() as runner:
            return chain.ingest(Job.of(request, workspace), runner).version

    def pack(self, *names: str, to: Path) -> Bundled:
        with self.open() as workspace:
            return bundle(BundleRequest(names, str(to)), workspace)

    def take(self, path: Path, **options: Any) -> Imported:
        with self.open() as workspace, chain.Direct() as runner:
            return import_bundle(ImportRequest(str(path), **options), workspace, runner)

    def version(self, name: str, number: str | None = None) -> ModelVersion:
        with self.open() as workspace:
            found = workspace.catalog.get(name, number)
        assert found is not None
        return found

    def is_blank(self) -> bool:
        """Whether the catalog has no model and no change, and the store no blob."""
        with self.open() as workspace:
            return not workspace.catalog.audit.rows() and not list(workspace.store.digests())

    def history(self, name: str) -> list[str]:
        with self.open() as workspace:
            return [row.action for row in workspace.catalog.audit.of_model(name)]


@pytest.fixture(scope="session")
def clamd_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a clamd that knows EICAR."""
    home = tmp_path_factory.mktemp("clamd-of-sides")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    tcp = f"TCPSocket {port}\nTCPAddr 127.0.0.1\n"
    daemon = Daemon(home, signatures(home / "signatures"), 2, extra_configuration=tcp)
    daemon.connection()
    yield f"tcp://127.0.0.1:{port}"
    daemon.stop()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, clamd_address: str) -> Side:
    """A side with a key, and two versions of a model."""
    side = Side(tmp_path_factory.mktemp("office"), clamd_address)
    assert side.key
    side.ingest("org/tiny")
    side.ingest("org/tiny", OTHER)
    with side.open() as workspace:
        measured = result(side.version("org/tiny", "1.0.0"), 1.0)
        workspace.catalog.add_result(measured)
        workspace.catalog.declarations.change("org/tiny", {"tags": ["größe ½"], "description": "Small."})
        workspace.catalog.declarations.set_changelog("org/tiny", "1.0.1", "Another README.")
    return side


@pytest.fixture(scope="module")
def sent(office: Side, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed bundle of both versions."""
    path = tmp_path_factory.mktemp("sent") / "b.tar.zst"
    office.pack("org/tiny@1.0.1", "org/tiny@1.0.0", "org/tiny", to=path)
    return path


@pytest.fixture
def far(tmp_path: Path, clamd_address: str) -> Side:
    return Side(tmp_path / "far", clamd_address)


def signed(path: Path, side: Side, files: Mapping[str, bytes], *versions: BundledVersion) -> Path:
    """Write a bundle that a side signs, whatever it says."""
    key = own_key(side.settings)
    assert key is not None
    found = parts(*versions, files=files)
    found.insert(1, signature_part(key.sign(index_of(versions, documents(*versions)).signed)))
    path.write_bytes(compressed(tape(found)))
    return path
