"""MLflow in particular: what a version looks like there, credentials, repairs, and what bad servers and files get."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import tracemalloc
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.privileges import ordinary_owner
from tests.registries.conftest import Subject, contents, embedded
from tests.registries.values import CONTENT, changed, put, undefault
from tests.services.mlflow import PASSWORD, USERNAME, MLflowServer
from weighbridge.config.settings import Settings
from weighbridge.errors import RegistryError, RegistryUnavailable
from weighbridge.registries import REGISTRIES
from weighbridge.registries.mlflow import MLflowRegistry
from weighbridge.registries.mlflow_session import Server, load_mlflow
from weighbridge.store.local import LocalBlobStore

pytestmark = pytest.mark.xdist_group("mlflow")


@pytest.fixture
def registry(tmp_path: Path) -> MLflowRegistry:
    return embedded(tmp_path / "mlflow")


@pytest.fixture
def remote(mlflow_server: MLflowServer) -> MLflowRegistry:
    return MLflowRegistry(mlflow_server.uri, username=USERNAME, password=PASSWORD)


@pytest.fixture
def name() -> str:
    return f"m-{uuid.uuid4().hex[:8]}"


def client_of(registry: MLflowRegistry) -> Any:
    return load_mlflow().MlflowClient(registry._server.uri, registry._server.uri)


def folder_of(registry: MLflowRegistry, name: str, number: str = "1") -> Path:
    return Path(client_of(registry).get_model_version(name, number).source.removeprefix("file://"))


def test_what_a_version_looks_like(registry: MLflowRegistry, store: LocalBlobStore) -> None:
    version = put(store)
    publication = registry.publish(version, store)
    assert publication.location == "models:/org--name/1"
    found = client_of(registry).get_model_version("org--name", "1")
    assert found.tags == {
        "version": "1.0.0",
        "manifest_digest": str(version.manifest.digest),
        "verdict": "PASSED",
        "policy": "standard",
        "policy_digest": "f" * 64,
        "licence": "Apache-2.0",
        "source": "mock:org/name@1",
        "scanned_with": "",
    }
    assert found.description == "org/name 1.0.0: llama, 134,515,008 parameters, Apache-2.0"
    assert client_of(registry).get_registered_model("org--name").tags == {"weighbridge_name": "org/name"}
    assert client_of(registry).get_run(found.run_id).info.status == "FINISHED"


def test_hard_links_keep_no_second_copy(store: LocalBlobStore, tmp_path: Path) -> None:
    version, settings = put(store), Settings(home=tmp_path, hard_links=True)
    registry = REGISTRIES["mlflow"](settings)
    assert isinstance(registry, MLflowRegistry)
    with ordinary_owner():
        registry.publish(version, store)
    for entry in version.manifest.files:
        assert entry.digest is not None
        assert (folder_of(registry, "org--name") / entry.path).samefile(store.path(entry.digest))


def test_the_alias_follows_the_default(registry: MLflowRegistry, store: LocalBlobStore) -> None:
    def default() -> dict[str, str]:
        aliases = client_of(registry).get_registered_model("org--name").aliases
        return {alias: str(number) for alias, number in aliases.items()}

    first = put(store)
    registry.publish(first, store)
    registry.publish(changed(store, "1.1.0"), store)
    assert default() == {"default": "2"}
    registry.publish(changed(store, "1.2.0", default=False), store)
    assert default() == {"default": "2"}
    registry.publish(undefault(changed(store, "1.1.0")), store)
    assert default() == {}
    registry.publish(first, store)
    assert default() == {"default": "1"}
    registry.withdraw("org/name", "1.0.0", "…")
    assert default() == {}


def test_the_reason_of_a_withdrawal_stays_readable(registry: MLflowRegistry, store: LocalBlobStore) -> None:
    registry.publish(put(store), store)
    registry.withdraw("org/name", "1.0.0", "New signatures hit.")
    tags = client_of(registry).get_model_version("org--name", "1").tags
    assert (tags["withdrawn"], tags["verdict"]) == ("New signatures hit.", "FAILED")
    registry.publish(put(store), store)
    tags = client_of(registry).get_model_version("org--name", "1").tags
    assert ("withdrawn" in tags, tags["verdict"]) == (False, "PASSED")


@pytest.mark.parametrize("damage", ["missing", "changed", "extra", "all gone"])
def test_damaged_files_are_repaired(registry: MLflowRegistry, store: LocalBlobStore, damage: str) -> None:
    version = put(store)
    publication = registry.publish(version, store)
    folder = folder_of(registry, "org--name")
    if damage in ("missing", "changed"):
        (folder / "config.json").unlink()
    if damage == "changed":
        (folder / "config.json").write_bytes(CONTENT["config.json"][::-1])
    if damage == "extra":
        (folder / "more.py").write_text("")
    if damage == "all gone":
        folder.rename(folder.with_name("elsewhere"))
    assert registry.publish(version, store) == publication
    assert contents(folder) == CONTENT


def test_a_model_that_brings_mlflows_own_files(registry: MLflowRegistry, store: LocalBlobStore) -> None:
    content = {**CONTENT, "MLmodel": b"flavors: {}\n"}
    publication = registry.publish(put(store, content), store)
    given_out = Subject("mlflow-embedded", registry, "", {}).read(publication)
    assert given_out.keys() == {*content, "registered_model_meta"}
    path = folder_of(registry, "org--name")
    before = (path / "config.json").stat().st_ino
    assert registry.publish(put(store, content), store) == publication
    assert (path / "config.json").stat().st_ino == before


def test_files_named_as_ours_are_while_written_are_published(registry: MLflowRegistry, store: LocalBlobStore) -> None:
    content = {
        ".writing-x": b"a user's",
        ".writing-0123456789abcdef": b"another",
        "registered_model_meta": b"not MLflow's",
    }
    registry.publish(put(store, content), store)
    assert contents(folder_of(registry, "org--name")) == content


def test_a_double_left_by_a_race_is_removed(registry: MLflowRegistry, store: LocalBlobStore) -> None:
    version = put(store)
    publication = registry.publish(version, store)
    client = client_of(registry)
    first = client.get_model_version("org--name", "1")
    client.create_model_version("org--name", first.source, first.run_id, tags=dict(first.tags))
    assert registry.publish(version, store) == publication
    assert [found.version for found in client.search_model_versions("name = 'org--name'")] in ([1], ["1"])


def test_an_alias_that_another_process_sets_first(
    registry: MLflowRegistry, store: LocalBlobStore, tmp_path: Path
) -> None:
    registry.prepare()
    faster: list[str] = []

    def be_faster(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO registered_model_aliases") and not faster:
            faster.append(statement)
            with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as other:
                other.execute(statement, parameters)

    event.listen(registry._client._get_registry_client().store.engine, "before_cursor_execute", be_faster)
    registry.publish(put(store), store)
    assert faster
    assert client_of(registry).get_model_version_by_alias("org--name", "default").version in (1, "1")


def test_a_registry_that_was_moved_says_so(store: LocalBlobStore, tmp_path: Path) -> None:
    embedded(tmp_path / "here").publish(put(store), store)
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(RegistryError, match="Move it back"):
        MLflowRegistry.embedded(tmp_path / "there").publish(put(store), store)


def test_publishing_for_the_first_time_is_quiet(
    store: LocalBlobStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    MLflowRegistry.embedded(tmp_path / "mlflow").publish(put(store), store)
    assert capfd.readouterr() == ("", "")


def _without_patience(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
    return statement.replace("busy_timeout = 20000", "busy_timeout = 1"), parameters


def test_a_locked_database_is_said_to_be_locked(
    registry: MLflowRegistry, store: LocalBlobStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    registry.publish(put(store), store)
    for client in (registry._client._tracking_client, registry._client._get_registry_client()):
        event.listen(client.store.engine, "before_cursor_execute", _without_patience, retval=True)
    holder = sqlite3.connect(tmp_path / "mlflow" / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    capfd.readouterr()
    with pytest.raises(RegistryUnavailable, match="locked"):
        registry.publish(changed(store, "1.1.0"), store)
    holder.close()
    assert "Traceback" not in capfd.readouterr().err


def test_a_database_that_is_none(store: LocalBlobStore, tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_bytes(b"something else " * 1000)
    with pytest.raises(RegistryError, match="not a database"):
        MLflowRegistry.embedded(tmp_path / "mlflow").publish(put(store), store)


def test_a_database_needs_a_folder() -> None:
    with pytest.raises(RegistryError, match="needs a folder"):
        MLflowRegistry("sqlite:////somewhere/mlflow.db")


def test_a_server_that_is_not_there(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryUnavailable, match="cannot be reached") as caught:
        MLflowRegistry("http://127.0.0.1:1", username="u", password="s3cret").publish(put(store), store)
    assert "s3cret" not in f"{caught.value} {caught.value.facts} {caught.value.__cause__}"


@pytest.mark.parametrize("password", ["wrong-password", ""])
def test_a_wrong_password(
    mlflow_server: MLflowServer, store: LocalBlobStore, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(RegistryError, match="refused") as caught:
        MLflowRegistry(mlflow_server.uri, username=USERNAME, password=password).publish(put(store), store)
    assert not caught.value.retryable
    assert not password or password not in f"{caught.value} {caught.value.facts} {caplog.text}"


def test_credentials_in_the_url_are_taken_out_of_it() -> None:
    server = Server.of("https://user:p%40ss@host:5000/path/")
    assert (server.uri, server.username, server.password) == ("https://host:5000/path", "user", "p@ss")
    assert "p@ss" not in repr(server)
    assert Server.of("https://host", token="t").authorization == "Bearer t"
    assert Server.of("https://host").authorization == ""


def test_the_servers_credentials_stay_out_of_the_environment(
    remote: MLflowRegistry, store: LocalBlobStore, name: str
) -> None:
    publication = remote.publish(put(store, name=name), store)
    assert PASSWORD not in "\n".join([*os.environ.values(), *publication.load, publication.location])


def test_credentials_of_two_users_are_not_mixed(
    remote: MLflowRegistry, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "somebody")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "else")
    with pytest.raises(RegistryError, match="are set, and they differ"):
        remote.publish(put(store), store)


def test_threads_that_load_mlflow_at_once_send_credentials_once() -> None:
    """As an ingest does, which prepares its registry beside the fetch: the server would refuse a header of two."""
    program = """
from concurrent.futures import ThreadPoolExecutor
from weighbridge.registries.mlflow_session import Server, load_mlflow
with ThreadPoolExecutor(4) as pool:
    assert len({id(found.result()) for found in [pool.submit(load_mlflow) for _ in range(4)]}) == 1
with Server.of("http://user:secret@127.0.0.1:9").session():
    from mlflow.tracking.request_header.registry import resolve_request_headers
    print(resolve_request_headers()["Authorization"])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "Basic dXNlcjpzZWNyZXQ=\n"


def test_the_environments_credentials_do(
    mlflow_server: MLflowServer, store: LocalBlobStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USERNAME)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert MLflowRegistry(mlflow_server.uri).publish(put(store, name=name), store).location == f"models:/{name}/1"


def test_an_upload_that_was_cut_off_is_completed(
    remote: MLflowRegistry, mlflow_server: MLflowServer, store: LocalBlobStore, name: str
) -> None:
    version = put(store, name=name)
    publication = remote.publish(version, store)
    with remote._session():
        run = remote._find(name, "version", "1.0.0").run_id
    folder = next((mlflow_server.folder / "artifacts").glob(f"*/{run}/artifacts/model"))
    (folder / "model.safetensors").write_bytes(CONTENT["model.safetensors"][:100])
    (folder / "config.json").unlink()
    assert remote.publish(version, store) == publication
    assert contents(folder) == CONTENT


@pytest.mark.parametrize("path", ["50%.txt", "a#b/c.txt"])
def test_a_file_that_a_server_cannot_give_out(
    remote: MLflowRegistry, store: LocalBlobStore, path: str, name: str
) -> None:
    with pytest.raises(RegistryError, match="cannot download"):
        remote.publish(put(store, {path: b"x"}, name=name), store)


def test_what_a_server_cannot_give_out_the_embedded_registry_can(
    registry: MLflowRegistry, store: LocalBlobStore
) -> None:
    registry.publish(put(store, {"50%.txt": b"x", "a#b/c.txt": b"y"}), store)
    assert contents(folder_of(registry, "org--name")) == {"50%.txt": b"x", "a#b/c.txt": b"y"}


def test_a_server_is_written_and_read_with_our_progress_alone(
    remote: MLflowRegistry, store: LocalBlobStore, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """MLflow draws a bar of its own for every file that it downloads, in a pipe too."""
    version, heard = put(store, name=name), []
    remote.publish(version, store, heard=heard.append)
    assert sum(heard) == version.manifest.size
    assert remote.damaged(version, store) == []
    said = capfd.readouterr()
    assert "Downloading" not in said.out + said.err


def test_uploads_are_streamed(remote: MLflowRegistry, store: LocalBlobStore, name: str) -> None:
    version = put(store, {"model.gguf": bytes(64 * 1024 * 1024)}, name=name)
    remote.publish(put(store, {"warm.up": b""}, name=name, number="0.0.1"), store)
    tracemalloc.start()
    publication = remote.publish(version, store)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 1024 * 1024
    assert publication.load[-1].endswith("gguf_file='model.gguf')")
