"""Model versions of a real MLflow server with basic authentication."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from tests.registries.values import CONTENT, put
from tests.services.mlflow import PASSWORD, USERNAME, MLflowServer
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import AccessDenied, InvalidReference, ModelNotFound, SourceError, SourceMisbehaved
from weighbridge.intake.fetching import fetch, known_blob
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.registries.mlflow import MLflowRegistry
from weighbridge.sources.mlflow import MLflowSource
from weighbridge.store.local import LocalBlobStore

pytestmark = pytest.mark.xdist_group("mlflow")

ADMIN = Auth(username=USERNAME, password=PASSWORD)
FILES = {
    "MLmodel": b"flavors: {}\n",
    "data/sub dir/größe x+y 100%.bin": bytes(range(256)) * 40,
    "data/empty": b"",
    "config.json": b"{}",
}
LOG_MODEL = """
import sys, mlflow
class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input
mlflow.set_experiment(sys.argv[1])
with mlflow.start_run() as run:
    mlflow.pyfunc.log_model(name="echo", python_model=Echo(), pip_requirements=[], registered_model_name=sys.argv[1])
mlflow.register_model(f"runs:/{run.info.run_id}/echo", sys.argv[1])
"""


@pytest.fixture
def name() -> str:
    return f"m-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def source(mlflow_server: MLflowServer) -> MLflowSource:
    return source_as(mlflow_server, ADMIN)


def source_as(server: MLflowServer, auth: Auth) -> MLflowSource:
    return MLflowSource(SourceSettings(auth=auth, endpoint=server.uri, timeout_s=30))


def resolve(source: MLflowSource, uri: str) -> Manifest:
    return source.resolve(ModelRef.parse(uri))


def content(source: MLflowSource, manifest: Manifest) -> dict[str, bytes]:
    found = {}
    for entry in manifest.files:
        with source.open(manifest.ref, entry) as stream:
            found[entry.path] = b"".join(stream.chunks)
    return found


class TestVersions:
    def test_a_number_a_stage_an_alias_and_the_newest(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str
    ) -> None:
        run = mlflow_server.add_run(FILES)
        for _ in range(3):
            mlflow_server.register(name, f"{run}/model")
        for number, stage in (("1", "Production"), ("2", "Production"), ("3", "Archived")):
            mlflow_server.call("POST", "model-versions/transition-stage", name=name, version=number, stage=stage)
        mlflow_server.call("POST", "registered-models/alias", name=name, alias="champion", version="1")
        meant = {
            "/1": "1",
            "/0002": "2",
            "/production": "2",
            "/ARCHIVED": "3",
            "@champion": "1",
            "": "3",
            "/Latest": "3",
        }
        for revision, number in meant.items():
            manifest = resolve(source, f"mlflow:{name}{revision}")
            assert (manifest.ref.uri, content(source, manifest)) == (f"mlflow:{name}/{number}", FILES), revision

    def test_an_alias_that_moves_changes_no_resolved_model(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str, store: LocalBlobStore
    ) -> None:
        mlflow_server.add(name, FILES)
        mlflow_server.add(name, {"config.json": b"[]"})
        mlflow_server.call("POST", "registered-models/alias", name=name, alias="champion", version="1")
        manifest = resolve(source, f"mlflow:{name}@champion")
        mlflow_server.call("POST", "registered-models/alias", name=name, alias="champion", version="2")
        assert content(source, manifest) == FILES
        locked = FileEntry("config.json", 2)
        assert fetch(source, manifest.ref, locked, store).digest == Digest.sha256(b"{}")

    @pytest.mark.parametrize("model", ["größe und mehr", "a@b", "100%", " lead", "what?#x&name=y"])
    def test_names_that_mlflow_allows(self, mlflow_server: MLflowServer, source: MLflowSource, model: str) -> None:
        unique = model + uuid.uuid4().hex[:8]
        mlflow_server.add(unique, FILES)
        manifest = source.resolve(ModelRef("mlflow", unique))
        assert ModelRef.parse(manifest.ref.uri) == manifest.ref == ModelRef("mlflow", unique, "1")

    @pytest.mark.parametrize(
        ("revision", "kind", "says"),
        [
            ("/9", ModelNotFound, "no version 9. Its newest version is 1, its aliases are champion."),
            ("/Staging", ModelNotFound, "no version in the stage “Staging”"),
            ("@loser", ModelNotFound, "no alias “loser”"),
            ("/live", InvalidReference, "“live” is not a stage.*must be one of None, Staging, Production, Archived"),
            ("/99999999999", InvalidReference, "is not a stage"),
        ],
    )
    def test_what_a_model_does_not_have(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str, revision: str, kind: type, says: str
    ) -> None:
        mlflow_server.add(name, FILES)
        mlflow_server.call("POST", "registered-models/alias", name=name, alias="champion", version="1")
        with pytest.raises(kind, match=says):
            resolve(source, f"mlflow:{name}{revision}")

    @pytest.mark.parametrize("revision", ["", "/1", "/Production", "@champion"])
    def test_no_such_model(self, source: MLflowSource, name: str, revision: str) -> None:
        with pytest.raises(ModelNotFound, match=f"no registered model “{name}”"):
            resolve(source, f"mlflow:{name}{revision}")

    def test_a_model_without_a_version(self, mlflow_server: MLflowServer, source: MLflowSource, name: str) -> None:
        mlflow_server.call("POST", "registered-models/create", name=name)
        with pytest.raises(ModelNotFound, match="no version yet"):
            resolve(source, f"mlflow:{name}")

    def test_a_version_without_files(self, mlflow_server: MLflowServer, source: MLflowSource, name: str) -> None:
        mlflow_server.add(name, {})
        with pytest.raises(ModelNotFound, match="holds no files"):
            resolve(source, f"mlflow:{name}/1")


class TestLocations:
    def test_models_as_mlflow_logs_them(self, mlflow_server: MLflowServer, source: MLflowSource, name: str) -> None:
        """Both ways lead to `models:/m-…`, which get-download-uri turns into a place among the artifacts."""
        environment = {
            "MLFLOW_TRACKING_URI": mlflow_server.uri,
            "MLFLOW_TRACKING_USERNAME": USERNAME,
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            "PYTHONWARNINGS": "ignore",
        }
        command = [sys.executable, "-c", LOG_MODEL, name]
        subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
        for number in ("1", "2"):
            found = mlflow_server.call("GET", "model-versions/get", name=name, version=number)["model_version"]
            assert found["source"].startswith("models:/m-")
            manifest = resolve(source, f"mlflow:{name}/{number}")
            assert {"MLmodel", "python_model.pkl", "requirements.txt"} <= manifest.by_path.keys()
            for path, data in content(source, manifest).items():
                assert data == mlflow_server.file(name, number, path).read_bytes()

    def test_models_as_the_registry_publishes_them(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str, store: LocalBlobStore
    ) -> None:
        registry = MLflowRegistry(mlflow_server.uri, username=USERNAME, password=PASSWORD)
        registry.publish(put(store, name=name), store)
        manifest = resolve(source, f"mlflow:{name}@default")
        assert content(source, manifest) == CONTENT
        computed = tuple(fetch(source, manifest.ref, entry, store) for entry in manifest.files)
        assert Manifest(manifest.ref, computed).digest == put(store).manifest.digest
        registry.withdraw(name, "1.0.0", "eicar")
        with pytest.raises(ModelNotFound, match="holds no files"):
            resolve(source, f"mlflow:{name}")

    def test_a_run_and_another_version(self, mlflow_server: MLflowServer, source: MLflowSource, name: str) -> None:
        run = mlflow_server.add_run(FILES).split("/")[-2]
        mlflow_server.register(name, f"runs:/{run}/model")
        mlflow_server.register(name, f"models:/{name}/1")
        for number in ("1", "2"):
            assert content(source, resolve(source, f"mlflow:{name}/{number}")) == FILES

    @pytest.mark.parametrize(
        ("location", "says"),
        [
            ("s3://models/llm/v1", "is at s3://models/llm/v1, .*Ingest s3://models/llm/v1 directly"),
            ("s3://key:secret@models/llm?X-Amz-Signature=secret", "Ingest s3://models/llm directly"),
            ("gs://models/llm", "own tools and ingest the folder with file:/path"),
            ("dbfs:/models/llm", "is at dbfs:/models/llm"),
            ("wasbs://container@account.blob.core.windows.net/llm", "is at wasbs://container@account"),
        ],
    )
    def test_files_that_the_server_does_not_hand_out(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str, location: str, says: str
    ) -> None:
        mlflow_server.register(name, location)
        with pytest.raises(SourceError, match=says) as error:
            resolve(source, f"mlflow:{name}/1")
        assert "secret" not in f"{error.value} {error.value.facts}"

    @pytest.mark.parametrize("hostile", ["a%20b.bin", "a#b.bin", "50%25", "x;"])
    def test_names_for_which_the_server_would_send_another_file(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str, hostile: str
    ) -> None:
        mlflow_server.add(name, {"a b.bin": b"another", "50%": b"another", "x": b"another"})
        mlflow_server.file(name, "1", hostile).write_bytes(b"its own")
        with pytest.raises(SourceMisbehaved, match="would send another one"):
            resolve(source, f"mlflow:{name}")


class TestFiles:
    def test_a_file_is_resumed(self, mlflow_server: MLflowServer, source: MLflowSource, name: str) -> None:
        mlflow_server.add(name, {"w.bin": bytes(range(256)) * 100})
        manifest = resolve(source, f"mlflow:{name}")
        with source.open(manifest.ref, manifest.files[0], 20_000) as stream:
            assert (stream.offset, stream.size) == (20_000, 25_600)
            assert b"".join(stream.chunks) == (bytes(range(256)) * 100)[20_000:]
        with source.open(manifest.ref, FileEntry("w.bin", 25_600), 20_000) as stream:
            assert stream.offset == 0  # nothing would show that the file changed meanwhile

    def test_an_unchanged_file_is_known(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str, store: LocalBlobStore
    ) -> None:
        mlflow_server.add(name, FILES)
        manifest = resolve(source, f"mlflow:{name}")
        for entry in manifest.files:
            fetch(source, manifest.ref, entry, store)
        again = resolve(source, f"mlflow:{name}/1")
        assert again.fingerprint == manifest.fingerprint != ""
        assert all(known_blob(again.ref, entry, store) for entry in again.files)

    @pytest.mark.parametrize("replacement", [b"same size!", b"another one"])
    def test_a_file_replaced_in_place_is_noticed(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str, store: LocalBlobStore, replacement: bytes
    ) -> None:
        mlflow_server.add(name, {"w.bin": b"0123456789"})
        manifest = resolve(source, f"mlflow:{name}")
        mlflow_server.file(name, "1", "w.bin").write_bytes(replacement)
        with pytest.raises(SourceMisbehaved, match="no longer the file"):
            fetch(source, manifest.ref, manifest.files[0], store)
        assert resolve(source, f"mlflow:{name}").fingerprint != manifest.fingerprint
        assert list(store.digests()) == []

    def test_more_files_than_are_asked_for_their_etag(
        self, mlflow_server: MLflowServer, source: MLflowSource, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("weighbridge.sources.mlflow.MAX_IDENTIFIED", 1)
        mlflow_server.add(name, FILES)
        manifest = resolve(source, f"mlflow:{name}")
        assert [entry.path for entry in manifest.files if entry.version] == ["data/sub dir/größe x+y 100%.bin"]
        assert manifest.fingerprint == ""
        assert content(source, manifest) == FILES

    def test_too_many_files(self, mlflow_server: MLflowServer, name: str) -> None:
        mlflow_server.add(name, FILES)
        source = MLflowSource(SourceSettings(auth=ADMIN, endpoint=mlflow_server.uri, max_files=2))
        with pytest.raises(SourceError, match="more than 2 files"):
            resolve(source, f"mlflow:{name}")


class TestAccess:
    def test_without_credentials(self, mlflow_server: MLflowServer, name: str) -> None:
        with pytest.raises(AccessDenied, match=r"requires credentials.*user:password"):
            resolve(source_as(mlflow_server, Auth()), f"mlflow:{name}")

    def test_a_wrong_password(self, mlflow_server: MLflowServer, name: str) -> None:
        with pytest.raises(AccessDenied, match="does not accept the user and password") as error:
            resolve(source_as(mlflow_server, Auth(username=USERNAME, password="wrong-one")), f"mlflow:{name}")
        assert "wrong-one" not in f"{error.value} {error.value.facts}"

    def test_a_token_for_a_server_that_takes_passwords(self, mlflow_server: MLflowServer, name: str) -> None:
        with pytest.raises(SourceError, match="user:password"):
            resolve(source_as(mlflow_server, Auth("a-token")), f"mlflow:{name}")

    def test_credentials_for_another_host_are_not_sent(self, mlflow_server: MLflowServer, name: str) -> None:
        elsewhere = Auth(username=USERNAME, password=PASSWORD, hosts=("models.example.com",))
        with pytest.raises(AccessDenied, match="requires credentials"):
            resolve(source_as(mlflow_server, elsewhere), f"mlflow:{name}")

    def test_permissions(self, mlflow_server: MLflowServer, name: str) -> None:
        """A user needs READ on the model, and on the experiment that its files were logged to."""
        run = mlflow_server.add_run(FILES)
        mlflow_server.register(name, f"{run}/model")
        guest = Auth(username=f"guest-{name}", password="guest-password-1234")
        mlflow_server.call("POST", "users/create", username=guest.username, password=guest.password)
        source = source_as(mlflow_server, guest)
        for kind, what in (("registered_model", name), ("experiment", run.split("/")[1])):
            with pytest.raises(AccessDenied, match="permission READ"):
                resolve(source, f"mlflow:{name}/1")
            granted = {"username": guest.username, "resource_type": kind, "resource_id": what, "permission": "READ"}
            mlflow_server.call("POST", "users/permissions/grant", **granted)
        assert content(source, resolve(source, f"mlflow:{name}/1")) == FILES


def test_an_option_names_the_server(mlflow_server: MLflowServer, name: str) -> None:
    mlflow_server.add(name, FILES)
    source = MLflowSource(SourceSettings(auth=ADMIN))
    manifest = resolve(source, f"mlflow:{name}?tracking_uri={mlflow_server.uri}/")
    assert ModelRef.parse(manifest.ref.uri) == manifest.ref
    assert content(source, manifest) == FILES


def test_what_its_own_client_downloads_is_the_same(
    mlflow_server: MLflowServer, source: MLflowSource, name: str, tmp_path: Path
) -> None:
    mlflow_server.add(name, FILES)
    code = "import sys, mlflow; mlflow.artifacts.download_artifacts(sys.argv[1], dst_path=sys.argv[2])"
    environment = {
        "MLFLOW_TRACKING_URI": mlflow_server.uri,
        "MLFLOW_TRACKING_USERNAME": USERNAME,
        "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-c", code, f"models:/{name}/1", str(tmp_path)]
    subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
    theirs = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    theirs.pop("registered_model_meta")
    assert content(source, resolve(source, f"mlflow:{name}")) == theirs == FILES


def test_the_server_answers_as_measured(mlflow_server: MLflowServer, name: str) -> None:
    """HEAD gives another ETag than GET, and If-Match is ignored: what `_identified` and `open` rest on."""
    mlflow_server.add(name, {"w.bin": b"0123456789"})
    path = mlflow_server.file(name, "1", "w.bin").relative_to(mlflow_server.artifacts).as_posix()
    url = f"{mlflow_server.uri}/api/2.0/mlflow-artifacts/artifacts/{path}"
    with httpx.Client(auth=(USERNAME, PASSWORD)) as client:
        got = client.get(url, headers={"If-Match": '"other"'})
        assert got.status_code == 200
        assert client.head(url).headers["etag"] != got.headers["etag"]
        part = client.get(url, headers={"Range": "bytes=4-", "If-Range": got.headers["etag"]})
        assert (part.status_code, part.content, part.headers["etag"]) == (206, b"456789", got.headers["etag"])
