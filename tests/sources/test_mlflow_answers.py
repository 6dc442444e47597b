"""What the mlflow source makes of servers that are broken, hostile, or none of MLflow's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulators.web import Page, WebServer
from tests.sources.mlflow_server import API, ARTIFACTS, CONTENT, HTML, LARGE, Simulated
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    UnsafePath,
    WeighbridgeError,
)
from weighbridge.intake.fetching import fetch
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.mlflow import MLflowSource
from weighbridge.store.local import LocalBlobStore


@pytest.fixture
def server() -> Iterator[Simulated]:
    with WebServer() as web:
        yield Simulated(web)


def resolve(server: Simulated, uri: str = "mlflow:m/3", **settings: Any) -> Manifest:
    return source(server, **settings).resolve(ModelRef.parse(uri))


def source(server: Simulated, **settings: Any) -> MLflowSource:
    return MLflowSource(SourceSettings(**{"endpoint": server.url, "timeout_s": 5.0} | settings))


def test_an_honest_one(server: Simulated) -> None:
    manifest = resolve(server)
    assert [(entry.path, entry.size) for entry in manifest.files] == [("a", 1)]


class TestListings:
    @pytest.mark.parametrize(
        "name", ["../../etc/passwd", "..", ".", "", "/etc/passwd", "a\\b", "a\0b", "x" * 300, "\ud800"]
    )
    @pytest.mark.parametrize("is_dir", [True, False])
    def test_names_that_lead_elsewhere(self, server: Simulated, name: str, is_dir: bool) -> None:
        server.list({"path": name, "is_dir": is_dir, "file_size": 1})
        with pytest.raises(UnsafePath):
            resolve(server)

    def test_a_name_that_is_a_path(self, server: Simulated) -> None:
        server.list({"path": "a/b", "is_dir": False, "file_size": 1})
        with pytest.raises(SourceMisbehaved, match="not the name of one file"):
            resolve(server)

    def test_two_of_one_name(self, server: Simulated) -> None:
        server.list({"path": "a", "file_size": 1}, {"path": "a", "file_size": 1})
        with pytest.raises(UnsafePath, match="cannot lie in one folder"):
            resolve(server)

    @pytest.mark.parametrize(
        "line",
        [
            {"path": "a", "file_size": -1},
            {"path": "a", "file_size": 1.5},
            {"path": "a", "file_size": "-1"},
            {"path": "a", "file_size": "9" * 30},
            {"path": "a", "file_size": True},
            {"path": "a", "file_size": [1]},
            {"path": "a", "is_dir": "no"},
            {"path": 5},
            {"name": "a"},
            "a",
            None,
        ],
    )
    def test_wrong_types_and_sizes(self, server: Simulated, line: Any) -> None:
        server.list(line)
        with pytest.raises(SourceMisbehaved):
            resolve(server)

    @pytest.mark.parametrize(
        "content",
        [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"files": {}}', b'{"files": 5}', b"[" * 100_000, b"9" * 10_000],
    )
    def test_what_is_no_listing(self, server: Simulated, content: bytes) -> None:
        server.web.put(ARTIFACTS, content)
        with pytest.raises(SourceMisbehaved, match="of MLflow"):
            resolve(server)

    def test_sizes_as_protocol_buffers_write_them(self, server: Simulated) -> None:
        server.list({"path": "a", "file_size": "1"})
        assert resolve(server).files[0].size == 1

    def test_pages_are_not_taken_for_the_whole(self, server: Simulated) -> None:
        server.list({"path": "a", "file_size": 1}, next_page_token="more")
        with pytest.raises(SourceMisbehaved, match="several pages"):
            resolve(server)

    def test_folders_without_end(self, server: Simulated) -> None:
        server.list({"path": "d", "is_dir": True})
        with pytest.raises(SourceError, match="more than 64 levels of folders"):
            resolve(server)
        assert len(server.web.requests) < 80

    def test_more_folders_than_a_model_has(self, server: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("weighbridge.sources.mlflow.MAX_FOLDERS", 50)
        server.list(*({"path": f"d{number}", "is_dir": True} for number in range(20)))
        with pytest.raises(SourceError, match="more than 50 folders"):
            resolve(server)
        assert len(server.web.requests) < 80

    def test_more_bytes_than_a_model_has(self, server: Simulated) -> None:
        server.list({"path": "a", "file_size": 10**17})
        with pytest.raises(SourceError, match="bytes, more than"):
            resolve(server)

    def test_an_endless_answer(self, server: Simulated) -> None:
        server.web.put(ARTIFACTS, b" " * 9 * 1024**2)
        with pytest.raises(SourceMisbehaved, match="longer than"):
            resolve(server)


class TestVersions:
    @pytest.mark.parametrize(
        "version", [None, 5, {}, [], {"version": "4"}, {"version": "../3"}, {"version": None}, {"version": ["3"]}]
    )
    def test_answers_that_are_no_version(self, server: Simulated, version: Any) -> None:
        server.answer("model-versions/get", {"model_version": version})
        server.answer("registered-models/get-latest-versions", {"model_versions": [version]})
        with pytest.raises(SourceMisbehaved, match="of MLflow"):
            resolve(server)
        if version != {"version": "4"}:
            with pytest.raises(SourceMisbehaved, match="of MLflow"):
                resolve(server, "mlflow:m")

    @pytest.mark.parametrize(
        ("status", "kind"),
        [("PENDING_REGISTRATION", SourceUnavailable), ("FAILED_REGISTRATION", ModelNotFound), (5, ModelNotFound)],
    )
    def test_versions_that_are_not_whole(self, server: Simulated, status: Any, kind: type) -> None:
        server.answer("model-versions/get", {"model_version": {"version": "3", "status": status}})
        with pytest.raises(kind, match="registered"):
            resolve(server)

    @pytest.mark.parametrize(
        "model", [None, [], {"aliases": 5}, {"aliases": [5, {"alias": "a\n"}]}, {"latest_versions": []}]
    )
    def test_a_missing_version_of_a_strange_model(self, server: Simulated, model: Any) -> None:
        server.answer("model-versions/get", {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"}, 404)
        server.answer("registered-models/get", {"registered_model": model})
        with pytest.raises(ModelNotFound, match="no version yet"):
            resolve(server)


class TestLocations:
    @pytest.mark.parametrize(
        "location",
        [
            "mlflow-artifacts:/",
            "mlflow-artifacts:/1/../../x",
            "mlflow-artifacts:/1/./x",
            "mlflow-artifacts:/1/\ud800",
            "runs:/\ud800/model",
            "",
            None,
            5,
            "x://[",
            "runs:/r",
        ],
    )
    def test_that_are_none(self, server: Simulated, location: Any) -> None:
        server.locate(location)
        server.answer("runs/get", {"run": {"info": []}})
        with pytest.raises(SourceMisbehaved, match="of MLflow"):
            resolve(server)

    @pytest.mark.parametrize(
        "location",
        [
            "mlflow-artifacts://elsewhere/1/run/artifacts",
            "mlflow-artifacts://127.0.0.1:1/1/run/artifacts",
            "mlflow-artifacts://[/1/run",
            "http://elsewhere/prefix/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts",
            "/var/models/llm",
            "file:///var/models/llm",
        ],
    )
    def test_that_lie_elsewhere(self, server: Simulated, location: str) -> None:
        server.locate(location)
        with pytest.raises(SourceError):
            resolve(server)
        assert not server.asked("/artifacts/a")

    def test_of_another_server_on_the_same_host(self, server: Simulated) -> None:
        server.locate(server.web.url("/other/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts"))
        with pytest.raises(SourceError, match="does not serve"):
            resolve(server)

    @pytest.mark.parametrize("host", ["", "//", "//127.0.0.1:{port}"])
    def test_that_lie_here(self, server: Simulated, host: str) -> None:
        server.locate(f"mlflow-artifacts:{host.format(port=server.web.port)}/1/run/artifacts")
        assert len(resolve(server).files) == 1

    def test_that_are_written_out(self, server: Simulated) -> None:
        server.locate(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/")
        assert len(resolve(server).files) == 1

    def test_of_logged_models(self, server: Simulated) -> None:
        """Servers of today name the place itself; these do not."""
        server.locate("models:/m-0a1b")
        server.answer(
            "logged-models/m-0a1b", {"model": {"info": {"artifact_uri": "mlflow-artifacts:/1/run/artifacts"}}}
        )
        assert len(resolve(server).files) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "content", "headers", "kind", "says"),
        [
            (200, b"<html>Log in", HTML, SourceMisbehaved, "a web page, perhaps to log in"),
            (404, b"<html>nginx", HTML, SourceMisbehaved, "Check that the tracking URI"),
            (404, b'{"error_code": "ENDPOINT_NOT_FOUND"}', {}, SourceMisbehaved, "MLflow 2.3 or newer"),
            (400, b'{"detail": "what?"}', {}, SourceMisbehaved, "HTTP 400"),
            (400, b'{"error_code": ["x"], "message": 5}', {}, SourceMisbehaved, "HTTP 400"),
            (403, b'{"error_code": "PERMISSION_DENIED"}', {}, AccessDenied, "permission READ"),
            (418, b"", {}, SourceMisbehaved, "HTTP 418"),
            (500, b'{"error_code": "INTERNAL_ERROR"}', {}, SourceUnavailable, "HTTP 500"),
            (503, b"", {"Retry-After": "7"}, SourceUnavailable, "HTTP 503"),
        ],
    )
    def test_of_every_kind(
        self,
        server: Simulated,
        status: int,
        content: bytes,
        headers: dict[str, str],
        kind: type[WeighbridgeError],
        says: str,
    ) -> None:
        server.web.put(f"{API}/model-versions/get", content, status=status, headers=headers)
        with pytest.raises(kind, match=says) as error:
            resolve(server)
        assert error.value.remedy
        assert error.value.retryable == (status >= 500)
        assert error.value.facts.get("retry_after_s") == (7 if status == 503 else None)

    def test_a_redirect_to_a_login_page(self, server: Simulated) -> None:
        server.web.put("/login", b"<html>Log in", headers=HTML)
        server.web.redirect(f"{API}/model-versions/get", "/login")
        with pytest.raises(SourceMisbehaved, match="a web page, perhaps to log in"):
            resolve(server)

    def test_words_of_the_server_are_cut_and_cleaned(self, server: Simulated) -> None:
        said = {"error_code": "INVALID_PARAMETER_VALUE", "message": "\x1b[2J\r\n" + "x" * 10_000}
        server.answer("registered-models/get-latest-versions", said, 400)
        server.answer("registered-models/get", {"registered_model": {"latest_versions": [{"version": "3"}]}})
        with pytest.raises(InvalidReference) as error:
            resolve(server, "mlflow:m/Stage")
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 800

    def test_a_token_goes_as_bearer_and_to_this_server_only(self, server: Simulated) -> None:
        server.web.put("/elsewhere", b"a")
        server.web.redirect(f"{ARTIFACTS}/1/run/artifacts/a", server.web.url("/elsewhere", host="localhost"))
        manifest = resolve(server, auth=Auth("secret"))
        with source(server, auth=Auth("secret")).open(manifest.ref, manifest.files[0]) as stream:
            assert b"".join(stream.chunks) == b"a"
        sent = {
            (request.path.partition("?")[0], request.headers.get("authorization")) for request in server.web.requests
        }
        assert ("/elsewhere", None) in sent
        assert {given for path, given in sent if path != "/elsewhere"} == {"Bearer secret"}

    @pytest.mark.parametrize(
        "uri",
        [
            "sqlite:///mlflow.db",
            "databricks",
            "/var/mlruns",
            "https://",
            "http://[",
            "https://host?token=secret",
            "https://user:secret@host",
            "https://secret@host/prefix",
            "secret@host/prefix",
        ],
    )
    def test_tracking_uris_that_are_none(self, server: Simulated, uri: str) -> None:
        for settings, options in (({"endpoint": uri}, ()), ({}, (("tracking_uri", uri), ("wrong", "1")))):
            with pytest.raises(InvalidReference) as error:
                source(server, **settings).resolve(ModelRef("mlflow", "m", "3", options))
            assert "secret" not in f"{error.value} {error.value.facts}"

    def test_a_name_that_is_no_text(self, server: Simulated) -> None:
        for name, revision in (("m\udcff", "3"), ("m", "@\udcff")):
            with pytest.raises(InvalidReference, match="not valid Unicode"):
                source(server).resolve(ModelRef("mlflow", name, revision))

    def test_no_server_or_two(self, server: Simulated) -> None:
        with pytest.raises(
            InvalidReference, match=r"no MLflow server.*tracking_uri=https://host, or MLFLOW_TRACKING_URI"
        ):
            resolve(server, endpoint="")
        with pytest.raises(InvalidReference, match="several MLflow servers"):
            resolve(server, "mlflow:m/3?tracking_uri=https://one&tracking_uri=https://two")


class TestBytes:
    def test_a_cut_resumes_where_it_stopped(self, server: Simulated, store: LocalBlobStore) -> None:
        server.list(LARGE)
        server.put("w.bin", CONTENT)
        manifest = resolve(server)
        server.put("w.bin", CONTENT, cut_after=3_000_000, next=Page(CONTENT))
        assert fetch(source(server), manifest.ref, manifest.files[0], store).digest == Digest.sha256(CONTENT)
        *_, first, second = server.asked("w.bin")
        assert first is None
        assert second is not None

    @pytest.mark.parametrize("conditions", [True, False])
    def test_another_file_after_a_cut_is_never_spliced(
        self, server: Simulated, store: LocalBlobStore, conditions: bool
    ) -> None:
        server.list(LARGE)
        server.put("w.bin", CONTENT)
        manifest = resolve(server)
        other = Page(bytes(len(CONTENT)), conditions=conditions)
        server.put("w.bin", CONTENT, cut_after=3_000_000, next=other)
        with pytest.raises(SourceMisbehaved, match="no longer the file"):
            fetch(source(server), manifest.ref, manifest.files[0], store)
        assert list(store.digests()) == []

    def test_a_server_without_etags_is_asked_for_one_file_and_resumes_nothing(
        self, server: Simulated, store: LocalBlobStore
    ) -> None:
        """As MLflow before an object store, which fetches a whole file for each request."""
        server.list(LARGE, {"path": "a", "file_size": 1}, {"path": "empty"})
        server.put("a", b"a", etag="", ranges=False)
        server.put(
            "w.bin", CONTENT, etag="", ranges=False, cut_after=3_000_000, next=Page(CONTENT, etag="", ranges=False)
        )
        manifest = resolve(server)
        assert (server.asked("w.bin"), server.asked("empty"), manifest.fingerprint) == ([], [], "")
        fetched = fetch(source(server), manifest.ref, manifest.by_path["w.bin"], store)
        assert fetched.digest == Digest.sha256(CONTENT)
        assert server.asked("w.bin") == [None, None]

    def test_a_size_that_is_not_the_listed_one(self, server: Simulated) -> None:
        server.put("a", b"longer")
        with pytest.raises(SourceMisbehaved, match="no longer the file"):
            resolve(server)

    def test_a_listed_file_that_is_not_there(self, server: Simulated) -> None:
        server.list({"path": "gone", "file_size": 5})
        with pytest.raises(ModelNotFound, match="gone"):
            resolve(server)
