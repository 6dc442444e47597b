"""Models of Ollama's in a real registry (docker-registry); what no good registry does comes from a simulator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.cutting import CutWire
from tests.content.headers.samples import gguf, llama
from tests.services.ociregistry import (
    BASIC,
    CONFIG,
    DOCKER_MANIFEST,
    PASSWORD,
    USERNAME,
    Blob,
    OciRegistryServer,
    manifest,
)
from tests.simulators.ollama import blob_path, put_manifest, put_model
from tests.simulators.web import Page, WebServer
from weighbridge.content.headers import gguf as gguf_header
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    IntegrityError,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    UnsafePath,
)
from weighbridge.intake.fetching import fetch
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.auth import Auth
from weighbridge.net.oci.manifest import INDEX_TYPES, MAX_MANIFEST
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.ollama import MAX_TEXT, OllamaSource
from weighbridge.store.local import LocalBlobStore

WEIGHTS = gguf(llama())
TEMPLATE = b"{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}{{ .Prompt }}"
MODEL = Blob.of("model", WEIGHTS)
LAYERS = [
    MODEL,
    Blob.of("template", TEMPLATE),
    Blob.of("params", b'{"stop":["<|im_end|>"]}'),
    Blob.of("license", b"MIT"),
]
CREDENTIALS = Auth("", USERNAME, PASSWORD)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of this test's own."""
    return f"tests/m{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"


def source_at(url: str, **settings: Any) -> OllamaSource:
    return OllamaSource(SourceSettings(endpoint=url, timeout_s=settings.pop("timeout_s", 10), **settings))


def resolve(source: OllamaSource, name: str) -> Manifest:
    return source.resolve(ModelRef.parse(f"ollama:{name}"))


def fetched(source: OllamaSource, found: Manifest, store: LocalBlobStore) -> dict[str, bytes]:
    entries = [fetch(source, found.ref, entry, store) for entry in found.files]
    return {entry.path: store.path(entry.digest).read_bytes() for entry in entries if entry.digest}


class TestModels:
    def test_a_folder_that_ollama_can_use(
        self, oci_registry: OciRegistryServer, store: LocalBlobStore, tmp_path: Path, name: str
    ) -> None:
        digest = oci_registry.push(name, LAYERS, "7b")
        source = source_at(oci_registry.url)
        found = resolve(source, f"{name}:7b")
        assert found.ref.revision == digest
        assert found.ref.uri == f"ollama:{name}@{digest}"
        files = fetched(source, found, store)
        assert files == {
            "LICENSE": b"MIT",
            "Modelfile": files["Modelfile"],
            "model.gguf": WEIGHTS,
            "ollama.json": CONFIG.content,
            "params.json": LAYERS[2].content,
            "template": TEMPLATE,
        }
        lines = files["Modelfile"].decode().splitlines()
        assert lines[1:] == [
            "FROM ./model.gguf",
            *f'TEMPLATE """{TEMPLATE.decode()}"""'.splitlines(),
            'PARAMETER stop "<|im_end|>"',
            'LICENSE "MIT"',
        ]
        weights = tmp_path / lines[1].removeprefix("FROM ./")
        weights.write_bytes(files[weights.name])
        assert gguf_header.read(weights).metadata["general.architecture"] == "llama"

    def test_no_weights_are_read_to_resolve(self, oci_registry: OciRegistryServer, name: str) -> None:
        oci_registry.push(name, LAYERS)
        before = len(oci_registry.requests())
        source = source_at(oci_registry.url)
        found = resolve(source, name)
        with source.open(found.ref, found.by_path["ollama.json"]) as stream:
            assert b"".join(stream.chunks) == CONFIG.content
        asked = oci_registry.requests(before, until=CONFIG.digest)
        assert not any(MODEL.digest in request.path for request in asked)

    def test_a_tag_that_moves_leaves_the_pinned_model(
        self, oci_registry: OciRegistryServer, store: LocalBlobStore, name: str
    ) -> None:
        oci_registry.push(name, LAYERS)
        source = source_at(oci_registry.url)
        pinned = resolve(source, name)
        oci_registry.push(name, [Blob.of("model", b"GGUF another"), Blob.of("system", b"Be rude.")])
        assert resolve(source, name).ref.revision != pinned.ref.revision
        for opener in (source, source_at(oci_registry.url)):
            assert opener.resolve(pinned.ref) == pinned
        assert fetched(source_at(oci_registry.url), pinned, store)["model.gguf"] == WEIGHTS

    def test_the_modelfile_of_a_lock_file(self, oci_registry: OciRegistryServer, name: str) -> None:
        oci_registry.push(name, LAYERS)
        found = resolve(source_at(oci_registry.url), name)
        locked = FileEntry.from_json(found.by_path["Modelfile"].to_json())
        with source_at(oci_registry.url).open(found.ref, locked, 10) as stream:
            assert (stream.offset, stream.size) == (10, locked.size)
            rest = b"".join(stream.chunks)
        with source_at(oci_registry.url).open(found.ref, locked) as stream:
            whole = b"".join(stream.chunks)
        assert whole[10:] == rest
        assert Digest.sha256(whole) == locked.digest

    def test_unknown_layers_are_files_too(
        self, oci_registry: OciRegistryServer, store: LocalBlobStore, name: str
    ) -> None:
        secret = Blob("application/vnd.example.secret", b"what is this")
        oci_registry.push(name, [*LAYERS, secret])
        source = source_at(oci_registry.url)
        files = fetched(source, resolve(source, name), store)
        path = f"layers/sha256-{secret.digest.removeprefix('sha256:')}"
        assert files[path] == secret.content
        assert f"# {path} is left out" in files["Modelfile"].decode()

    def test_text_that_is_too_large_is_a_file_only(self, oci_registry: OciRegistryServer, name: str) -> None:
        oci_registry.push(name, [MODEL, Blob.of("license", b"x" * (MAX_TEXT + 1))])
        found = resolve(source_at(oci_registry.url), name)
        assert found.by_path["LICENSE"].size == MAX_TEXT + 1
        assert (found.by_path["Modelfile"].size or 0) < 1000

    def test_a_cut_is_resumed_where_it_was(
        self, oci_registry: OciRegistryServer, store: LocalBlobStore, name: str
    ) -> None:
        weights = Blob.of("model", bytes(range(256)) * 80_000)
        oci_registry.push(name, [weights])
        with CutWire(int(oci_registry.url.rsplit(":", 1)[1]), cut_at=12_000_000) as wire:
            source = source_at(f"http://127.0.0.1:{wire.port}")
            found = resolve(source, name)
            entry = fetch(source, found.ref, found.by_path["model.gguf"], store)
            assert str(entry.digest) == weights.digest
            assert wire.cut.is_set()
            assert wire.received < len(weights.content) + 2_000_000
        assert oci_registry.requests(until=weights.digest, status=206)


class TestWhatIsNotThere:
    @pytest.mark.parametrize("wanted", ["no-such/model", "{}:no-such-tag", "{}@sha256:" + "0" * 64])
    def test_a_model_or_tag(self, oci_registry: OciRegistryServer, name: str, wanted: str) -> None:
        oci_registry.push(name, LAYERS)
        with pytest.raises(ModelNotFound, match="There is no model") as error:
            resolve(source_at(oci_registry.url), wanted.format(name))
        assert error.value.remedy

    def test_a_layer(self, oci_registry: OciRegistryServer, store: LocalBlobStore, name: str) -> None:
        weights = Blob.of("model", name.encode())
        oci_registry.push(name, [weights])
        source = source_at(oci_registry.url)
        found = resolve(source, name)
        oci_registry.stored(weights.digest).unlink()
        with pytest.raises(ModelNotFound):
            fetch(source, found.ref, found.by_path["model.gguf"], store)

    def test_a_model_without_weights(self, oci_registry: OciRegistryServer, name: str) -> None:
        oci_registry.push(name, [Blob.of("system", b"x")])
        with pytest.raises(ModelNotFound, match="has no weights"):
            resolve(source_at(oci_registry.url), name)
        remote = Blob(CONFIG.media_type, b'{"remote_host":"https://ollama.com","remote_model":"big"}')
        oci_registry.push(name, [Blob.of("system", b"x")], config=remote)
        with pytest.raises(ModelNotFound, match="runs on another server"):
            resolve(source_at(oci_registry.url), name)

    def test_an_index(self, oci_registry: OciRegistryServer, name: str) -> None:
        digest = oci_registry.push(name, LAYERS, "one")
        one = {"mediaType": DOCKER_MANIFEST, "digest": digest, "size": len(manifest(LAYERS))}
        listed = one | {"platform": {"architecture": "amd64", "os": "linux"}}
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": [listed]}
        oci_registry.push_manifest(name, json.dumps(index).encode(), "latest", INDEX_TYPES[0])
        with pytest.raises(ModelNotFound, match="index"):
            resolve(source_at(oci_registry.url), name)

    def test_a_manifest_that_only_the_blobs_have(self, web: WebServer) -> None:
        digest = put_model(web, "library/m", LAYERS)
        content = web.pages.pop(f"/v2/library/m/manifests/{digest}").content
        web.put(f"/v2/library/m/blobs/{digest}", content)
        assert resolve(source_at(web.url("")), f"m@{digest}").ref.revision == digest


class TestWrongBytes:
    def test_a_manifest_with_a_wrong_digest(self, oci_registry: OciRegistryServer, name: str) -> None:
        digest = oci_registry.push(name, LAYERS)
        path = oci_registry.stored(digest)
        path.write_bytes(path.read_bytes().replace(b"model_", b"model-") + b" ")
        for wanted in (name, f"{name}@{digest}"):
            with pytest.raises(SourceMisbehaved, match="not the one with the digest"):
                resolve(source_at(oci_registry.url), wanted)

    @pytest.mark.parametrize("named", [True, False])
    def test_another_manifest_than_was_asked_for(self, web: WebServer, named: bool) -> None:
        digest = put_model(web, "library/m", LAYERS)
        other = manifest([Blob.of("model", b"other")])
        headers = {"Docker-Content-Digest": digest} if named else {"Docker-Content-Digest": ""}
        web.pages[f"/v2/library/m/manifests/{digest}"] = Page(other, headers=headers)
        with pytest.raises(SourceMisbehaved, match="not the one with the digest") as error:
            resolve(source_at(web.url("")), f"m@{digest}")
        assert error.value.facts["expected"] == digest

    def test_a_tag_whose_answer_names_another_digest(self, web: WebServer) -> None:
        put_model(web, "library/m", LAYERS)
        put_manifest(web, "library/m", manifest(LAYERS), headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"})
        with pytest.raises(SourceMisbehaved, match="not the one with the digest"):
            resolve(source_at(web.url("")), "m")

    def test_weights_with_other_bytes_are_not_kept(
        self, oci_registry: OciRegistryServer, store: LocalBlobStore, name: str
    ) -> None:
        weights = Blob.of("model", WEIGHTS + name.encode())
        oci_registry.push(name, [weights])
        source = source_at(oci_registry.url)
        found = resolve(source, name)
        oci_registry.stored(weights.digest).write_bytes(bytes(len(weights.content)))
        with pytest.raises(IntegrityError) as error:
            fetch(source, found.ref, found.by_path["model.gguf"], store)
        assert error.value.facts["expected"] == weights.digest
        assert list(store.digests()) == []

    @pytest.mark.parametrize("content", [b"short", b"x" * len(TEMPLATE), b"x" * 5000])
    def test_text_with_other_bytes(self, web: WebServer, content: bytes) -> None:
        put_model(web, "library/m", LAYERS)
        web.put(blob_path("library/m", LAYERS[1]), content)
        with pytest.raises(SourceMisbehaved):
            resolve(source_at(web.url("")), "m")

    def test_a_length_that_is_not_the_promised_one(self, web: WebServer, store: LocalBlobStore) -> None:
        put_model(web, "library/m", LAYERS)
        source = source_at(web.url(""))
        found = resolve(source, "m")
        web.put(blob_path("library/m", MODEL), WEIGHTS + b"more")
        with pytest.raises(SourceMisbehaved):
            fetch(source, found.ref, found.by_path["model.gguf"], store)

    def test_a_manifest_without_end(self, web: WebServer) -> None:
        put_manifest(web, "library/m", b" " * (MAX_MANIFEST + 1))
        with pytest.raises(SourceMisbehaved, match="longer than"):
            resolve(source_at(web.url("")), "m")

    def test_a_layer_that_would_be_our_modelfile(self, web: WebServer) -> None:
        put_model(web, "library/m", [*LAYERS, Blob.of("json", b"{}", name="Modelfile")])
        with pytest.raises(UnsafePath):
            resolve(source_at(web.url("")), "m")

    @pytest.mark.parametrize(("settings", "word"), [({"max_size": 10}, "bytes"), ({"max_files": 3}, "files")])
    def test_more_than_is_allowed(self, web: WebServer, settings: dict[str, int], word: str) -> None:
        put_model(web, "library/m", LAYERS)
        with pytest.raises(SourceError, match=f"{word}, more than"):
            resolve(source_at(web.url(""), **settings), "m")


class TestAccess:
    def test_credentials_stay_with_the_registry(self, web: WebServer, store: LocalBlobStore) -> None:
        put_model(web, "library/m", LAYERS)
        digest = put_manifest(web, "library/m", manifest(LAYERS))
        good = web.pages[f"/v2/library/m/manifests/{digest}"]
        challenge = {"WWW-Authenticate": 'Basic realm="models"'}
        web.pages["/v2/library/m/manifests/latest"] = Page(b"", status=401, headers=challenge, next=good)
        web.put("/storage/weights", WEIGHTS)
        web.redirect(blob_path("library/m", MODEL), web.url("/storage/weights", host="localhost"), status=307)
        source = source_at(web.url(""), auth=CREDENTIALS)
        fetched(source, resolve(source, "m"), store)
        sent = {(request.path, request.headers.get("authorization")) for request in web.requests}
        assert (blob_path("library/m", MODEL), BASIC) in sent
        assert {header for path, header in sent if path == "/storage/weights"} == {None}

    def test_what_a_redirect_s_target_asks_for_is_not_given(self, web: WebServer) -> None:
        put_model(web, "library/m", LAYERS)
        challenge = {"WWW-Authenticate": 'Basic realm="storage"'}
        web.put("/storage", status=401, headers=challenge)
        web.redirect("/v2/library/m/manifests/latest", web.url("/storage", host="localhost"))
        with pytest.raises(AccessDenied):
            resolve(source_at(web.url(""), auth=CREDENTIALS), "m")
        assert {request.headers.get("authorization") for request in web.requests} == {None}

    def test_user_and_password(self, private_registry: OciRegistryServer, store: LocalBlobStore, name: str) -> None:
        private_registry.push(name, LAYERS)
        source = source_at(private_registry.url, auth=CREDENTIALS)
        assert fetched(source, resolve(source, name), store)["model.gguf"] == WEIGHTS
        with pytest.raises(AccessDenied, match="refuses access"):
            resolve(source_at(private_registry.url, auth=Auth("", USERNAME, "wrong")), name)

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            *((401, AccessDenied), (403, AccessDenied), (404, ModelNotFound), (429, SourceUnavailable)),
            *((500, SourceUnavailable), (503, SourceUnavailable), (400, SourceMisbehaved), (204, SourceMisbehaved)),
        ],
    )
    def test_answers(self, web: WebServer, status: int, error: type[Exception]) -> None:
        web.put("/v2/library/m/manifests/latest", status=status, headers={"Retry-After": "30"})
        with pytest.raises(error) as raised:
            resolve(source_at(web.url("")), "m")
        assert type(raised.value) is error
        if error is SourceUnavailable:
            assert isinstance(raised.value, SourceUnavailable)
            assert raised.value.facts["retry_after_s"] == 30

    def test_the_address_policy_holds(self, web: WebServer) -> None:
        with pytest.raises(AddressRefused):
            resolve(source_at(web.url(""), addresses=AddressPolicy(private=())), "m")
        assert web.requests == []


class TestRegistries:
    def test_the_option_names_it(self, web: WebServer) -> None:
        put_model(web, "user/m", LAYERS)
        source = OllamaSource(SourceSettings(endpoint="http://127.0.0.1:1"))
        found = resolve(source, f"user/m?registry={web.url('/')}")
        assert found.ref.option("registry") == (web.url("/"),)
        assert source.resolve(ModelRef.parse(found.ref.uri)) == found
        assert resolve(source, f"127.0.0.1:{web.port}/user/m?registry={web.url('')}").files == found.files

    def test_the_name_s_own_is_asked_over_https_unless_it_is_the_endpoint(self, web: WebServer, tmp_path: Path) -> None:
        put_model(web, "user/m", LAYERS)
        assert resolve(source_at(web.url("")), f"127.0.0.1:{web.port}/user/m").files
        web.requests.clear()
        with pytest.raises(SourceUnavailable):
            resolve(source_at(web.url("")), f"localhost:{web.port}/user/m")
        assert [request for request in web.requests if request.path.startswith("/v2/")] == []

    def test_a_base_path(self, web: WebServer) -> None:
        put_model(web, "library/m", LAYERS)
        web.pages = {f"/proxy{path}": page for path, page in web.pages.items()}
        assert resolve(source_at(web.url("/proxy/")), "m").files

    @pytest.mark.parametrize(
        "query",
        [
            *("registry=", "registry=host", "registry=ftp://host", "registry=https://user:x@host", "insecure=1"),
            *("registry=https://host/../x", "registry=https://a&registry=https://b", "registry=https://host:x"),
        ],
    )
    def test_what_is_none(self, query: str) -> None:
        with pytest.raises(InvalidReference):
            resolve(OllamaSource(SourceSettings()), f"m?{query}")

    def test_two_that_differ(self, web: WebServer) -> None:
        with pytest.raises(InvalidReference, match="another one"):
            resolve(OllamaSource(SourceSettings()), f"other.example/user/m?registry={web.url('')}")

    def test_ollamas_own_is_the_default(self) -> None:
        source = OllamaSource(SourceSettings(addresses=AddressPolicy(hosts=("nowhere",))))
        with pytest.raises(AddressRefused) as error:
            resolve(source, "llama2")
        assert error.value.facts["host"] == "registry.ollama.ai"

    def test_what_is_not_pinned_is_not_opened(self) -> None:
        source = OllamaSource(SourceSettings())
        with pytest.raises(InvalidReference), source.open(ModelRef.parse("ollama:m"), FileEntry("model.gguf")):
            pass
