from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from tests.simulators.web import Page, WebServer
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    IntegrityError,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    UnsafePath,
)
from weighbridge.intake.fetching import fetch, known_blob
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.url import UrlSource
from weighbridge.store.local import LocalBlobStore

CONTENT = b"GGUF" + bytes(range(256)) * 400


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture
def source() -> UrlSource:
    return UrlSource(SourceSettings(timeout_s=5))


def resolve(source: UrlSource, url: str) -> Manifest:
    return source.resolve(ModelRef.parse(url))


def test_one_file_with_size_and_version_in_one_request(web: WebServer, source: UrlSource) -> None:
    url = web.put("/models/tiny.gguf", CONTENT, etag='"v1"')
    (entry,) = resolve(source, url).files
    assert (entry.path, entry.size, entry.digest) == ("tiny.gguf", len(CONTENT), None)
    assert entry.version == f'{url} "v1"'
    assert len(web.requests) == 1


def test_a_promised_digest(web: WebServer, source: UrlSource) -> None:
    promised = hashlib.sha256(CONTENT).hexdigest()
    manifest = resolve(source, web.put("/f.gguf", CONTENT) + f"#sha256={promised.upper()}")
    assert manifest.files[0].digest == Digest("sha256", promised)
    assert manifest.ref.revision == f"sha256:{promised}"


def test_a_broken_promise_stores_nothing(web: WebServer, source: UrlSource, store: LocalBlobStore) -> None:
    manifest = resolve(source, web.put("/f.gguf", CONTENT) + f"#sha256={'0' * 64}")
    with pytest.raises(IntegrityError) as error:
        fetch(source, manifest.ref, manifest.files[0], store)
    assert error.value.facts["expected"] == f"sha256:{'0' * 64}"
    assert list(store.digests()) == []


@pytest.mark.parametrize("fragment", ["sha256=12", f"sha256={'x' * 64}", f"sha256={'0' * 64}&sha256={'1' * 64}"])
def test_a_promise_that_is_none(source: UrlSource, fragment: str) -> None:
    with pytest.raises(InvalidReference):
        resolve(source, f"http://127.0.0.1:1/f.gguf#{fragment}")


def test_an_unknown_option_names_the_known_ones(source: UrlSource) -> None:
    with pytest.raises(InvalidReference, match="Known ones: exclude, extract, files, sha256") as error:
        resolve(source, "http://127.0.0.1:1/f.gguf#unpack=true")
    assert error.value.exit_code == 64


class TestExtract:
    def test_the_file_is_declared_as_an_archive(self, web: WebServer, source: UrlSource) -> None:
        url = web.put("/v1/model.tar.gz", CONTENT)
        plain, archive = resolve(source, url), resolve(source, f"{url}#extract=true")
        assert (plain.archive, archive.archive) == ("", "archive")
        assert archive.files == plain.files
        assert archive.ref.name == "model"
        assert archive.ref.uri == f"{url}#extract=true"
        assert archive.fingerprint != plain.fingerprint
        assert resolve(source, f"{url}#extract=false").archive == ""

    def test_what_was_fetched_without_is_not_fetched_again(
        self, web: WebServer, source: UrlSource, store: LocalBlobStore
    ) -> None:
        url = web.put("/model.tar", CONTENT)
        plain, archive = resolve(source, url), resolve(source, f"{url}#extract=true")
        fetch(source, plain.ref, plain.files[0], store)
        assert known_blob(archive.ref, archive.files[0], store) == Digest.sha256(CONTENT)

    @pytest.mark.parametrize("fragment", ["extract=yes", "extract=", "extract=True", "extract=true&extract=false"])
    def test_is_true_or_false(self, source: UrlSource, fragment: str) -> None:
        with pytest.raises(InvalidReference, match="neither true nor false") as error:
            resolve(source, f"http://127.0.0.1:1/f.tar#{fragment}")
        assert error.value.exit_code == 64


def test_the_revision_follows_the_content(web: WebServer, source: UrlSource) -> None:
    url = web.put("/f.gguf", CONTENT)
    first = resolve(source, url).ref.revision
    assert resolve(source, url).ref.revision == first
    web.put("/f.gguf", CONTENT + b"!")
    assert resolve(source, url).ref.revision != first


def test_without_a_strong_etag_the_revision_is_weak_and_nothing_is_an_identity(
    web: WebServer, source: UrlSource, store: LocalBlobStore
) -> None:
    url = web.put("/f.gguf", CONTENT, etag='W/"1"', headers={"Last-Modified": "Sat, 21 Nov 2026 05:00:00 GMT"})
    manifest = resolve(source, url)
    assert manifest.ref.revision.startswith("weak-")
    assert manifest.fingerprint == ""
    fetch(source, manifest.ref, manifest.files[0], store)
    assert known_blob(manifest.ref, manifest.files[0], store) is None


class TestNames:
    @pytest.mark.parametrize(
        ("path", "disposition", "name"),
        [
            ("/a/model.gguf", "", "model.gguf"),
            ("/a/m%C3%B6del%20x.gguf", "", "mödel x.gguf"),
            ("/", "", "model"),
            ("/download", 'attachment; filename="real.safetensors"', "real.safetensors"),
            ("/model.gguf", "inline", "model.gguf"),
        ],
    )
    def test_from_the_server_or_the_address(
        self, web: WebServer, source: UrlSource, path: str, disposition: str, name: str
    ) -> None:
        headers = {"Content-Disposition": disposition} if disposition else {}
        assert resolve(source, web.put(path, CONTENT, headers=headers)).files[0].path == name

    def test_a_bare_address_takes_the_name_it_redirects_to(self, web: WebServer, source: UrlSource) -> None:
        web.put("/files/model-3.gguf", CONTENT)
        assert resolve(source, web.redirect("/latest", "/files/model-3.gguf")).files[0].path == "model-3.gguf"

    @pytest.mark.parametrize(
        ("disposition", "name"),
        [
            ('attachment; filename="../../etc/cron.d/x"', "x"),
            ('attachment; filename="/etc/passwd"', "passwd"),
            ('attachment; filename="a\\\\..\\\\b"', "b"),
            ("attachment; filename*=UTF-8''a%00.gguf", "f"),
            ("attachment; filename*=UTF-8''..%2Fx", "x"),
            ('attachment; filename="folder/x.gguf"', "x.gguf"),
            ('attachment; filename=".."', "f"),
            ('attachment; filename="folder/"', "f"),
        ],
    )
    def test_of_hostile_names_the_last_part_is_taken_where_it_is_safe(
        self, web: WebServer, source: UrlSource, disposition: str, name: str
    ) -> None:
        manifest = resolve(source, web.put("/f", CONTENT, headers={"Content-Disposition": disposition}))
        assert manifest.files[0].path == name

    @pytest.mark.parametrize("path", ["/a/..%2Fx.gguf", "/a%00.gguf", "/a/%2e%2e"])
    def test_hostile_addresses_are_refused(self, web: WebServer, source: UrlSource, path: str) -> None:
        with pytest.raises(UnsafePath):
            resolve(source, web.put(path, CONTENT))


class TestFetching:
    def test_bytes_arrive_and_are_an_identity(self, web: WebServer, source: UrlSource, store: LocalBlobStore) -> None:
        manifest = resolve(source, web.put("/f.gguf", CONTENT))
        entry = fetch(source, manifest.ref, manifest.files[0], store)
        assert entry.digest == Digest.sha256(CONTENT)
        asked = len(web.requests)
        fetch(source, manifest.ref, resolve(source, web.url("/f.gguf")).files[0], store)
        assert [request.method for request in web.requests[asked:]] == ["HEAD"]

    def test_a_cut_resumes_where_it_stopped(self, web: WebServer, source: UrlSource, store: LocalBlobStore) -> None:
        url = web.put("/f.gguf", CONTENT * 50, cut_after=3_000_000, next=Page(CONTENT * 50))
        manifest = resolve(source, url)
        entry = fetch(source, manifest.ref, manifest.files[0], store)
        assert entry.digest == Digest.sha256(CONTENT * 50)
        ranges = [request.headers.get("range") for request in web.requests if request.method == "GET"]
        assert ranges[0] is None
        assert ranges[1] is not None
        assert web.requests[-1].headers["if-range"] == web.pages["/f.gguf"].validator

    @pytest.mark.parametrize("conditions", [True, False])
    def test_another_file_after_a_cut_is_never_spliced(
        self, web: WebServer, source: UrlSource, store: LocalBlobStore, conditions: bool
    ) -> None:
        other = bytes(len(CONTENT) * 50)
        url = web.put("/f.gguf", CONTENT * 50, cut_after=3_000_000, next=Page(other, conditions=conditions))
        manifest = resolve(source, url)
        with pytest.raises(SourceMisbehaved, match="no longer the file"):
            fetch(source, manifest.ref, manifest.files[0], store)
        assert list(store.digests()) == []

    def test_without_an_identity_a_cut_starts_again(
        self, web: WebServer, source: UrlSource, store: LocalBlobStore
    ) -> None:
        url = web.put("/f.gguf", CONTENT * 50, etag="", cut_after=3_000_000, next=Page(CONTENT * 50, etag=""))
        manifest = resolve(source, url)
        assert fetch(source, manifest.ref, manifest.files[0], store).digest == Digest.sha256(CONTENT * 50)
        assert "range" not in web.requests[-1].headers

    def test_a_changed_file_is_refused_before_its_first_byte(
        self, web: WebServer, source: UrlSource, store: LocalBlobStore
    ) -> None:
        manifest = resolve(source, web.put("/f.gguf", CONTENT))
        web.put("/f.gguf", CONTENT[::-1])
        with pytest.raises(SourceMisbehaved):
            fetch(source, manifest.ref, manifest.files[0], store)


class TestBusy:
    def test_a_server_says_when_to_ask_again(
        self, web: WebServer, source: UrlSource, store: LocalBlobStore, waited: list[float]
    ) -> None:
        manifest = resolve(source, web.put("/f.gguf", CONTENT))
        web.pages["/f.gguf"] = Page(status=429, headers={"Retry-After": "7"}, next=Page(status=503, next=Page(CONTENT)))
        assert fetch(source, manifest.ref, manifest.files[0], store).digest == Digest.sha256(CONTENT)
        assert waited == [7.0, 1.0]

    def test_nobody_waits_for_long(self, web: WebServer, source: UrlSource, store: LocalBlobStore) -> None:
        manifest = resolve(source, web.put("/f.gguf", CONTENT))
        web.pages["/f.gguf"] = Page(status=429, headers={"Retry-After": "3600"})
        with pytest.raises(SourceUnavailable) as error:
            fetch(source, manifest.ref, manifest.files[0], store)
        assert error.value.facts["retry_after_s"] == 3600
        assert error.value.retryable

    def test_a_server_that_falls_silent_is_asked_for_the_rest(self, web: WebServer, store: LocalBlobStore) -> None:
        source = UrlSource(SourceSettings(timeout_s=0.5))
        url = web.put("/f.gguf", CONTENT * 50, hang_after=3_000_000, next=Page(CONTENT * 50))
        manifest = resolve(source, url)
        assert fetch(source, manifest.ref, manifest.files[0], store).digest == Digest.sha256(CONTENT * 50)
        assert "range" in web.requests[-1].headers


def test_the_token_goes_to_the_first_host_only(web: WebServer) -> None:
    source = UrlSource(SourceSettings(auth=Auth("secret")))
    web.put("/f.gguf", CONTENT)
    manifest = resolve(source, web.redirect("/r", web.url("/f.gguf", host="localhost")))
    with source.open(manifest.ref, manifest.files[0]) as stream:
        assert b"".join(stream.chunks) == CONTENT
    sent = {(request.path, request.headers.get("authorization")) for request in web.requests}
    assert sent == {("/r", "Bearer secret"), ("/f.gguf", None)}


def test_a_user_and_a_password(web: WebServer) -> None:
    source = UrlSource(SourceSettings(auth=Auth(username="ada", password="secret")))
    resolve(source, web.put("/f.gguf", CONTENT))
    assert web.requests[-1].headers["authorization"] == "Basic YWRhOnNlY3JldA=="


def test_credentials_for_other_hosts_stay_here(web: WebServer) -> None:
    source = UrlSource(SourceSettings(auth=Auth("secret", hosts=("models.example.com",))))
    resolve(source, web.put("/f.gguf", CONTENT))
    assert "authorization" not in web.requests[-1].headers


def test_a_web_page_is_no_model(web: WebServer, source: UrlSource) -> None:
    url = web.put("/model.gguf", b"<html>please log in", headers={"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(ModelNotFound, match="web page"):
        resolve(source, url)


def test_a_file_beyond_the_limit(web: WebServer) -> None:
    with pytest.raises(SourceError, match="more than the 100"):
        resolve(UrlSource(SourceSettings(max_size=100)), web.put("/f.gguf", CONTENT))
