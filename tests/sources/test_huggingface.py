from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.hub import Hub
from tests.sources.hub_models import FILES, REF, WEIGHTS, hub, read, source, tree
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    IntegrityError,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
)
from weighbridge.intake.fetching import fetch
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.huggingface import HuggingFaceDatasetSource, HuggingFaceSource
from weighbridge.store.local import LocalBlobStore

__all__ = ["hub"]


class TestResolving:
    def test_a_model_is_pinned_in_two_requests(self, hub: Hub) -> None:
        manifest = source(hub).resolve(REF)
        assert manifest.ref.uri == f"hf:org/name@{hub.repositories['models', 'org/name'].branches['main']}"
        assert {entry.path: entry.size for entry in manifest.files} == {p: len(c) for p, c in FILES.items()}
        assert manifest.by_path["model.safetensors"].digest == Digest.sha256(WEIGHTS)
        digest = manifest.by_path["config.json"].digest
        assert digest is not None
        assert digest.algorithm == "git-sha1"
        assert len(hub.requests) == 2

    def test_branches_tags_and_commits(self, hub: Hub) -> None:
        repository = hub.repositories["models", "org/name"]
        first = repository.branches["main"]
        repository.tags["v1.0"] = first
        other = repository.commit({"config.json": b"{}"}, branch="feature/x")
        for revision, commit in {"main": first, "v1.0": first, first: first, "feature/x": other}.items():
            assert source(hub).resolve(REF.pinned(revision)).ref.revision == commit

    def test_main_moves(self, hub: Hub) -> None:
        before = source(hub).resolve(REF)
        hub.repositories["models", "org/name"].commit({**FILES, "config.json": b"{}"})
        after = source(hub).resolve(REF)
        assert after.ref.revision != before.ref.revision
        assert after.fingerprint != before.fingerprint
        assert read(hub, before, "config.json") == FILES["config.json"]
        assert read(hub, after, "config.json") == b"{}"

    def test_data_sets_are_another_namespace(self, hub: Hub) -> None:
        hub.add("org/data", {"data.csv": b"a,b"}, kind="datasets")
        data = HuggingFaceDatasetSource(SourceSettings(endpoint=hub.url))
        manifest = data.resolve(ModelRef.parse("hf-dataset:org/data"))
        with data.open(manifest.ref, manifest.files[0]) as stream:
            assert b"".join(stream.chunks) == b"a,b"
        with pytest.raises(ModelNotFound, match="no data set org/name"):
            data.resolve(ModelRef.parse("hf-dataset:org/name"))

    def test_renamed_repositories(self, hub: Hub) -> None:
        hub.renamed["models", "old/name"] = "org/name"
        hub.repositories["models", "org/name"].private = True
        hub.tokens["t"] = frozenset({"org/name"})
        manifest = source(hub, "t").resolve(ModelRef.parse("hf:old/name"))
        assert manifest.ref.id == "old/name"
        assert manifest.files == source(hub, "t").resolve(REF).files
        for path, content in FILES.items():
            assert read(hub, manifest, path, token="t") == content

    def test_oldest_repositories_have_no_organisation(self, hub: Hub) -> None:
        hub.add("gpt2", {"config.json": b"{}"})
        manifest = source(hub).resolve(ModelRef.parse("hf:gpt2"))
        assert read(hub, manifest, "config.json") == b"{}"

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (["config.json"], ["config.json"]),
            (["*.safetensors", "config.json"], ["config.json", "model.safetensors"]),
            (["onnx/*"], ["onnx/model.onnx"]),
            (["onnx/"], ["onnx/model.onnx"]),
            (["*.onnx"], ["onnx/model.onnx"]),
            (["sub dir/näme #1.txt"], ["sub dir/näme #1.txt"]),
        ],
    )
    def test_some_files(self, hub: Hub, wanted: list[str], expected: list[str]) -> None:
        ref = ModelRef("huggingface", "org/name", "", tuple(("files", name) for name in wanted))
        manifest = source(hub).resolve(ref)
        assert [entry.path for entry in manifest.files] == expected
        assert manifest.ref.options == ref.options

    def test_a_name_with_brackets_is_a_name_before_it_is_a_glob(self, hub: Hub) -> None:
        hub.add("org/brackets", {"a[1].txt": b"", "a1.txt": b""})
        manifest = source(hub).resolve(ModelRef("huggingface", "org/brackets", "", (("files", "a[1].txt"),)))
        assert [entry.path for entry in manifest.files] == ["a[1].txt"]

    def test_a_pattern_without_a_match_is_named(self, hub: Hub) -> None:
        with pytest.raises(ModelNotFound, match=r"no file “\*\.gguf”.*config\.json"):
            source(hub).resolve(ModelRef.parse("hf:org/name?files=config.json&files=*.gguf"))

    def test_limits(self, hub: Hub) -> None:
        with pytest.raises(Exception, match="more than the 2"):
            source(hub, max_files=2).resolve(REF)


class TestRefusals:
    @pytest.mark.parametrize("token", ["", "known"])
    def test_missing(self, hub: Hub, token: str) -> None:
        hub.tokens["known"] = frozenset()
        with pytest.raises(ModelNotFound, match="shows no model org/nothing") as error:
            source(hub, token).resolve(ModelRef.parse("hf:org/nothing"))
        assert ("--token-env HF_TOKEN" in error.value.remedy) == (not token)

    def test_private(self, hub: Hub) -> None:
        hub.add("org/private", FILES, private=True)
        hub.tokens = {"in": frozenset({"org/private"}), "out": frozenset()}
        ref = ModelRef.parse("hf:org/private")
        for token in ("", "out"):
            with pytest.raises(ModelNotFound, match="If it is private"):
                source(hub, token).resolve(ref)
        manifest = source(hub, "in").resolve(ref)
        assert read(hub, manifest, "config.json", token="in") == FILES["config.json"]

    def test_gated(self, hub: Hub, store: LocalBlobStore) -> None:
        hub.add("org/gated", FILES, gated=True)
        hub.tokens = {"in": frozenset({"org/gated"}), "out": frozenset()}
        manifest = source(hub).resolve(ModelRef.parse("hf:org/gated"))
        entry = manifest.by_path["model.safetensors"]
        with pytest.raises(AccessDenied, match=f"Open {hub.url}/org/gated .* Then name its .*--token-env HF_TOKEN"):
            fetch(source(hub), manifest.ref, entry, store)
        with pytest.raises(AccessDenied, match="with the account whose token is in use"):
            fetch(source(hub, "out"), manifest.ref, entry, store)
        assert fetch(source(hub, "in"), manifest.ref, entry, store).digest == Digest.sha256(WEIGHTS)

    @pytest.mark.parametrize(("kind", "who"), [("auto", "at once"), ("manual", "people of org approve")])
    def test_who_lets_in(self, hub: Hub, store: LocalBlobStore, kind: str, who: str) -> None:
        hub.add("org/gated", FILES, gated=True)
        hub.repositories["models", "org/gated"].gated = kind
        asked = source(hub)
        manifest = asked.resolve(ModelRef.parse("hf:org/gated"))
        with pytest.raises(AccessDenied, match=who) as error:
            fetch(asked, manifest.ref, manifest.by_path["model.safetensors"], store)
        assert error.value.facts["page"] == f"{hub.url}/org/gated"

    def test_an_endpoint_that_lists_no_gated_files(self, hub: Hub) -> None:
        hub.add("org/gated", FILES, gated=True)
        hub.fault("/tree/" + hub.repositories["models", "org/gated"].find("main"), status=401)
        with pytest.raises(AccessDenied, match="people of org approve") as error:
            source(hub).resolve(ModelRef.parse("hf:org/gated"))
        assert error.value.facts["page"] == f"{hub.url}/org/gated"

    def test_a_mirror_that_wants_a_token(self, hub: Hub) -> None:
        hub.fault("/api/models/org/name", status=401, content=b'{"error": "log in at the door"}')
        with pytest.raises(AccessDenied, match=r"requires credentials.*--token-env"):
            source(hub).resolve(REF)

    def test_a_wrong_token(self, hub: Hub) -> None:
        with pytest.raises(AccessDenied, match="does not accept the token") as error:
            source(hub, "wrong-secret").resolve(REF)
        assert "wrong-secret" not in f"{error.value} {error.value.facts}"

    def test_no_such_revision(self, hub: Hub) -> None:
        with pytest.raises(ModelNotFound, match="no branch, tag or commit “v9”"):
            source(hub).resolve(ModelRef.parse("hf:org/name@v9"))

    def test_a_file_that_is_gone(self, hub: Hub) -> None:
        manifest = source(hub).resolve(REF)
        del hub.repositories["models", "org/name"].commits[manifest.ref.revision]["config.json"]
        with pytest.raises(ModelNotFound, match=r"no file config\.json"):
            read(hub, manifest, "config.json")

    @pytest.mark.parametrize("name", ["a/b/c", "org/--x", "..", "org/name.git", "a b/c"])
    def test_no_repository_at_all(self, hub: Hub, name: str) -> None:
        with pytest.raises(InvalidReference):
            source(hub).resolve(ModelRef("huggingface", name))
        assert hub.requests == []

    def test_offline_mode(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(Exception, match="HF_HUB_OFFLINE"):
            source(hub).resolve(REF)


class TestBytes:
    @pytest.mark.parametrize("cdn", [False, True])
    def test_every_file_whole_and_from_the_middle(self, hub: Hub, cdn: bool) -> None:
        hub.cdn = cdn
        manifest = source(hub).resolve(REF)
        for path, content in FILES.items():
            assert read(hub, manifest, path) == content
            half = len(content) // 2
            assert read(hub, manifest, path, half) == content[half:]

    def test_the_token_goes_to_the_endpoint_only(self, hub: Hub) -> None:
        hub.cdn = True
        hub.add("org/private", FILES, private=True)
        hub.tokens["secret"] = frozenset({"org/private"})
        manifest = source(hub, "secret").resolve(ModelRef.parse("hf:org/private"))
        read(hub, manifest, "model.safetensors", token="secret")
        read(hub, manifest, "config.json", token="secret")
        for request in hub.requests:
            sent = request.headers.get("authorization")
            assert sent == (None if request.headers["host"].startswith("localhost") else "Bearer secret")
        assert len(hub.asked("GET", "/cdn/")) == 1

    def test_the_token_follows_no_redirect_to_another_host(self, hub: Hub) -> None:
        hub.tokens["secret"] = frozenset()
        manifest = source(hub, "secret").resolve(REF)
        # The host `localhost` is another than 127.0.0.1, though it is the same simulator.
        elsewhere = {"Location": f"{hub.cdn_url}/steal"}
        hub.fault("/config.json", status=302, headers=elsewhere)
        hub.fault("/api/models/org/name", status=302, headers=elsewhere)
        with pytest.raises(SourceError):
            read(hub, manifest, "config.json", token="secret")
        with pytest.raises(SourceError):
            source(hub, "secret").resolve(REF)
        stolen = [request for request in hub.requests if request.headers["host"].startswith("localhost")]
        assert all("authorization" not in request.headers for request in stolen)
        assert len(stolen) == 2

    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    def test_redirects_without_end(self, hub: Hub, method: str) -> None:
        manifest = source(hub).resolve(REF)
        path = f"/org/name/resolve/{manifest.ref.revision}/config.json"
        hub.fault("/config.json", methods=(method,), status=302, headers={"Location": path})
        with pytest.raises(SourceMisbehaved, match="redirects"):
            read(hub, manifest, "config.json")

    def test_no_token_is_logged(self, hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
        hub.cdn = True
        hub.tokens["secret-token"] = frozenset()
        with caplog.at_level("DEBUG"):
            manifest = source(hub, "secret-token").resolve(REF)
            read(hub, manifest, "model.safetensors", token="secret-token")
            with pytest.raises(AccessDenied) as error:
                source(hub, "another-secret").resolve(REF)
        assert "/model.safetensors" in caplog.text
        for secret in ("secret-token", "another-secret"):
            assert secret not in f"{caplog.text} {error.value!r} {error.value.facts}"
            assert all(secret not in str(vars(record)) for record in caplog.records)

    def test_a_token_at_home_is_not_used(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", "of-somebody")
        read(hub, source(hub).resolve(REF), "config.json")
        assert all("authorization" not in request.headers for request in hub.requests)

    def test_bytes_are_asked_for_as_they_are(self, hub: Hub) -> None:
        read(hub, source(hub).resolve(REF), "config.json", 3)
        (request,) = hub.asked("GET", "/config.json")
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["range"] == "bytes=3-"

    def test_nothing_is_written_at_home(self, hub: Hub, store: LocalBlobStore) -> None:
        home = Path(os.environ["HF_HOME"])
        before = sorted(home.rglob("*"))
        manifest = source(hub).resolve(REF)
        fetch(source(hub), manifest.ref, manifest.by_path["model.safetensors"], store)
        assert sorted(home.rglob("*")) == before


class TestFaults:
    @pytest.fixture
    def manifest(self, hub: Hub) -> Manifest:
        return source(hub).resolve(REF)

    def fetch(self, hub: Hub, manifest: Manifest, store: LocalBlobStore, **settings: Any) -> Digest | None:
        entry = manifest.by_path["model.safetensors"]
        return fetch(source(hub, **settings), manifest.ref, entry, store).digest

    def test_a_cut_body_is_resumed(self, hub: Hub, manifest: Manifest, store: LocalBlobStore) -> None:
        hub.fault("/model.safetensors", times=2, cut_after=700_000)
        assert self.fetch(hub, manifest, store) == Digest.sha256(WEIGHTS)
        ranges = [request.headers.get("range") for request in hub.asked("GET", "/model.safetensors")]
        assert ranges == [None, "bytes=700000-", "bytes=1400000-"]

    def test_zeros_of_the_right_length(self, hub: Hub, manifest: Manifest, store: LocalBlobStore) -> None:
        hub.fault("/model.safetensors", zeros=True)
        with pytest.raises(IntegrityError, match=r"model\.safetensors"):
            self.fetch(hub, manifest, store)
        assert not store.has(Digest.sha256(WEIGHTS))

    def test_zeros_in_a_file_of_git(self, hub: Hub, manifest: Manifest, store: LocalBlobStore) -> None:
        hub.fault("/config.json", zeros=True)
        with pytest.raises(IntegrityError):
            fetch(source(hub), manifest.ref, manifest.by_path["config.json"], store)

    @pytest.mark.parametrize("fault", [{"length": len(WEIGHTS) + 1}, {"length": len(WEIGHTS) - 1}])
    def test_a_false_length(self, hub: Hub, manifest: Manifest, store: LocalBlobStore, fault: dict[str, Any]) -> None:
        hub.fault("/model.safetensors", **fault)
        with pytest.raises(SourceMisbehaved):
            self.fetch(hub, manifest, store)

    def test_a_length_of_nothing_to_head(self, hub: Hub, manifest: Manifest, store: LocalBlobStore) -> None:
        hub.fault("/model.safetensors", methods=("HEAD",), length=0, headers={"X-Linked-Size": ""})
        assert self.fetch(hub, manifest, store) == Digest.sha256(WEIGHTS)

    @pytest.mark.parametrize(
        ("headers", "what"),
        [
            ({"X-Repo-Commit": "b" * 40}, "commit"),
            ({"X-Linked-Etag": f'"{"b" * 64}"'}, "digest"),
            ({"X-Linked-Size": "7"}, "size"),
        ],
    )
    def test_another_file_than_listed(
        self, hub: Hub, manifest: Manifest, store: LocalBlobStore, headers: dict[str, str], what: str
    ) -> None:
        hub.fault("/model.safetensors", methods=("HEAD",), headers=headers)
        with pytest.raises(SourceMisbehaved, match=f"has the {what}"):
            self.fetch(hub, manifest, store)
        assert not hub.asked("GET", "/model.safetensors")

    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    def test_busy_and_too_many_requests(
        self, hub: Hub, manifest: Manifest, store: LocalBlobStore, method: str, waited: list[float]
    ) -> None:
        hub.fault("/model.safetensors", methods=(method,), times=1, status=429, headers={"Retry-After": "7"})
        assert self.fetch(hub, manifest, store) == Digest.sha256(WEIGHTS)
        assert waited == [7.0]

    def test_the_hubs_own_rate_limit_header(self, hub: Hub) -> None:
        hub.fault("/api/models/org/name", status=429, headers={"RateLimit": '"api";r=0;t=33'})
        with pytest.raises(SourceUnavailable, match="fewer requests") as error:
            source(hub).resolve(REF)
        assert error.value.facts["retry_after_s"] == 33
        assert len(hub.asked("GET", "/api/models")) == 4

    @pytest.mark.parametrize("place", [lambda hub: "/api/models/org/name", lambda hub: tree(hub)])
    @pytest.mark.parametrize("status", [429, 503, 520])
    def test_a_question_that_fails_once_ends_nothing(self, hub: Hub, place: Callable[[Hub], str], status: int) -> None:
        hub.fault(place(hub), times=1, status=status)
        assert len(source(hub).resolve(REF).files) == len(FILES)

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_broken_hub(self, hub: Hub, status: int) -> None:
        hub.fault("/api/models/org/name", status=status)
        with pytest.raises(SourceUnavailable, match=f"HTTP {status}"):
            source(hub).resolve(REF)

    def test_silence(self, hub: Hub, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
        impatient = source(hub, timeout_s=0.2)
        hub.fault("/api/models/org/name", hang_after=-1)
        with pytest.raises(SourceUnavailable, match="nothing for too long"):
            impatient.resolve(REF)
        hub.fault("/model.safetensors", hang_after=1000)
        with (
            impatient.open(manifest.ref, manifest.by_path["model.safetensors"]) as stream,
            pytest.raises(SourceUnavailable, match="nothing for too long"),
        ):
            list(stream.chunks)

    def test_nobody_listens(self, hub: Hub) -> None:
        nobody = HuggingFaceSource(SourceSettings(endpoint="http://127.0.0.1:1"))
        with pytest.raises(SourceUnavailable, match="failed"):
            nobody.resolve(REF)

    @pytest.mark.parametrize("endpoint", ["ftp://host", "nonsense"])
    def test_no_endpoint_at_all(self, endpoint: str) -> None:
        with pytest.raises(InvalidReference, match="HF_ENDPOINT"):
            HuggingFaceSource(SourceSettings(endpoint=endpoint)).resolve(REF)

    def test_other_servers(self, hub: Hub) -> None:
        hub.fault("/api/models/org/name", status=418)
        with pytest.raises(SourceMisbehaved, match="HTTP 418"):
            source(hub).resolve(REF)
