"""Git repositories with Git LFS, served by nginx, git's http-backend and giftless."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.services.gitlfs import PASSWORD, USERNAME, GitLfsServer, git, pointer
from tests.simulators.web import WebServer
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    IntegrityError,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    UnsafePath,
)
from weighbridge.intake.fetching import fetch
from weighbridge.net.git.repository import BLOB_LIMIT
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.git_lfs import GitLFSSource
from weighbridge.store.local import LocalBlobStore

pytestmark = pytest.mark.xdist_group("gitlfs")
WEIGHTS = b"GGUF" + bytes(range(256)) * 400
OTHER = b"other weights" * 100
LARGE = bytes(range(256)) * (BLOB_LIMIT // 256 + 1)


@pytest.fixture
def source() -> GitLFSSource:
    return GitLFSSource(SourceSettings(timeout_s=10))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of the test's own that anybody may read."""
    return f"open/{abs(hash(request.node.nodeid))}.git"


def model(server: GitLfsServer, name: str, revision: str = "", subdir: str = "") -> ModelRef:
    at, at_subdir = (f"@{revision}" if revision else ""), (f"#{subdir}" if subdir else "")
    return ModelRef.parse(f"git+{server.address(name)}{at}{at_subdir}")


def bring(source: GitLFSSource, manifest: Manifest, store: LocalBlobStore) -> dict[str, bytes]:
    """Fetch every file as the pipeline does, and return what arrived."""
    found = {}
    for entry in manifest.files:
        computed = fetch(source, manifest.ref, entry, store)
        assert computed.digest is not None
        found[entry.path] = store.path(computed.digest).read_bytes()
    return found


class TestModels:
    def test_what_the_real_client_pushed_arrives(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, store: LocalBlobStore, name: str, tmp_path: Path
    ) -> None:
        files = {".gitattributes": b"*.gguf filter=lfs -text\n", "config.json": b"{}", "sub/m.gguf": WEIGHTS, "e": b""}
        for path, content in files.items():
            (tmp_path / "work" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "work" / path).write_bytes(content)
        git_lfs_server.repository(name)
        address = git_lfs_server.address(name).replace("://", f"://{USERNAME}:{PASSWORD}@")
        for command in ("init -q", "lfs install --local", "add .", "commit -qm first", f"push -q {address} main"):
            git(tmp_path / "work", *command.split())
        manifest = source.resolve(model(git_lfs_server, name))
        assert manifest.ref.revision == git(tmp_path / "work", "rev-parse", "HEAD")
        assert manifest.by_path["sub/m.gguf"] == FileEntry("sub/m.gguf", len(WEIGHTS), Digest.sha256(WEIGHTS))
        blob = git(tmp_path / "work", "rev-parse", "HEAD:config.json")
        assert manifest.by_path["config.json"] == FileEntry("config.json", 2, Digest("git-sha1", blob))
        assert bring(source, manifest, store) == files

    def test_resolving_asks_for_no_object(self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str) -> None:
        git_lfs_server.commit(name, {"m.gguf": git_lfs_server.put(name, WEIGHTS), "large.bin": LARGE})
        before = git_lfs_server.count
        manifest = source.resolve(model(git_lfs_server, name))
        assert manifest.by_path["large.bin"].size is None
        asked = git_lfs_server.requests(before, until="git-upload-pack")
        assert [request for request in asked if "/info/lfs" in request.uri] == []

    def test_large_files_in_git_come_when_they_are_wanted(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, store: LocalBlobStore, name: str
    ) -> None:
        git_lfs_server.commit(name, {"large.bin": LARGE, "small": b"x"})
        manifest = source.resolve(model(git_lfs_server, name))
        assert bring(source, manifest, store) == {"large.bin": LARGE, "small": b"x"}

    @pytest.mark.parametrize("prefix", ["old/", "moved/"])
    def test_old_protocols_and_moved_repositories(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, store: LocalBlobStore, name: str, prefix: str
    ) -> None:
        oid = git_lfs_server.commit(name, {"config.json": b"{}", "large.bin": LARGE})
        git(git_lfs_server.repository(name), "config", "uploadpack.allowAnySHA1InWant", "true")
        for revision in ("main", oid):
            manifest = source.resolve(model(git_lfs_server, name.replace("open/", prefix), revision))
            assert manifest.ref.revision == oid
            assert bring(source, manifest, store)["large.bin"] == LARGE

    def test_only_the_objects_of_the_folder_are_asked_for(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, store: LocalBlobStore, name: str
    ) -> None:
        files = {f"a b/{n}.bin": git_lfs_server.put(name, WEIGHTS + bytes([n])) for n in range(3)}
        git_lfs_server.commit(name, files | {"b/other.bin": git_lfs_server.put(name, OTHER), "a b/x": b"x"})
        before = git_lfs_server.count
        manifest = source.resolve(model(git_lfs_server, name, "main", "a%20b"))
        assert sorted(manifest.by_path) == ["0.bin", "1.bin", "2.bin", "x"]
        assert len(bring(source, manifest, store)) == 4
        asked = git_lfs_server.requests(before, until=manifest.by_path["2.bin"].digest.hex)  # type: ignore[union-attr]
        (batch,) = [json.loads(request.body) for request in asked if request.uri.endswith("/objects/batch")]
        assert {one["oid"] for one in batch["objects"]} == {
            entry.digest.hex for entry in manifest.files if entry.digest and entry.digest.algorithm == "sha256"
        }
        assert len([request for request in asked if "/objects/storage/" in request.uri]) == 3

    @pytest.mark.parametrize("subdir", ["nothing", "a/m.bin"])
    def test_a_folder_that_is_none(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str, subdir: str
    ) -> None:
        git_lfs_server.commit(name, {"a/m.bin": b"x"})
        with pytest.raises(ModelNotFound, match="Check the subdir"):
            source.resolve(model(git_lfs_server, name, "main", subdir))

    @pytest.mark.parametrize("missing", [{"name": "open/nothing.git"}, {"revision": "v9"}, {"revision": "1" * 40}])
    def test_what_is_not_there(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str, missing: dict[str, str]
    ) -> None:
        git_lfs_server.commit(name, {"m.bin": b"x"})
        with pytest.raises(ModelNotFound):
            source.resolve(model(git_lfs_server, **({"name": name} | missing)))

    def test_a_page_is_no_repository(self, source: GitLFSSource) -> None:
        with WebServer() as web:
            web.put("/x/info/refs", b"<html>", headers={"Content-Type": "text/html"})
            with pytest.raises(ModelNotFound, match="git clone takes"):
                source.resolve(ModelRef("git-lfs", web.url("/x")))

    @pytest.mark.parametrize(("organisation", "resumes"), [("fast", True), ("open", False)])
    def test_objects_are_resumed_where_their_server_can(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str, organisation: str, resumes: bool
    ) -> None:
        name = name.replace("open", organisation)
        git_lfs_server.commit(name, {"m.gguf": git_lfs_server.put(name, WEIGHTS)})
        manifest = source.resolve(model(git_lfs_server, name))
        with source.open(manifest.ref, manifest.files[0], 1000) as stream:
            assert stream.offset == (1000 if resumes else 0)
            assert b"".join(stream.chunks) == WEIGHTS[stream.offset :]


class TestPins:
    def test_a_tag_that_moves_moves_nothing_that_is_pinned(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, store: LocalBlobStore, name: str
    ) -> None:
        git_lfs_server.commit(name, {"m.bin": git_lfs_server.put(name, WEIGHTS), "c": b"old"}, "v1")
        manifest = source.resolve(model(git_lfs_server, name, "v1"))
        git_lfs_server.commit(name, {"m.bin": git_lfs_server.put(name, OTHER), "c": b"new"}, "v1")
        git(git_lfs_server.repository(name), "tag", "keep", manifest.ref.revision)
        assert bring(source, manifest, store) == {"m.bin": WEIGHTS, "c": b"old"}
        another = GitLFSSource(SourceSettings())
        for entry in manifest.files:
            with another.open(manifest.ref, FileEntry.from_json(entry.to_json())) as stream:
                assert b"".join(stream.chunks) in (WEIGHTS, b"old")
        assert another.resolve(model(git_lfs_server, name, "v1")).ref != manifest.ref

    def test_a_commit_that_was_removed_is_not_found(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str
    ) -> None:
        git_lfs_server.commit(name, {"c": b"old"})
        manifest = source.resolve(model(git_lfs_server, name))
        git_lfs_server.commit(name, {"c": b"new"})
        git(git_lfs_server.repository(name), "repack", "-adq")
        git(git_lfs_server.repository(name), "prune", "--expire=now")
        with (
            pytest.raises(ModelNotFound, match="does not serve that commit"),
            GitLFSSource(SourceSettings()).open(manifest.ref, manifest.files[0]),
        ):
            pass

    def test_without_a_pin_nothing_is_opened(self, git_lfs_server: GitLfsServer, source: GitLFSSource) -> None:
        with (
            pytest.raises(InvalidReference, match="not pinned"),
            source.open(model(git_lfs_server, "open/x.git", "main"), FileEntry("c")),
        ):
            pass

    def test_several_threads_bring_a_commit_once(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str
    ) -> None:
        git_lfs_server.commit(name, {str(n): b"%d" % n for n in range(8)} | {"large.bin": LARGE})
        manifest = source.resolve(model(git_lfs_server, name))
        before, another = git_lfs_server.count, GitLFSSource(SourceSettings())

        def read(entry: FileEntry) -> int:
            with another.open(manifest.ref, entry) as stream:
                return sum(len(chunk) for chunk in stream.chunks)

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(read, manifest.files)) == [1] * 8 + [len(LARGE)]
        asked = git_lfs_server.requests(before, until="git-upload-pack")
        # One question for the repository by us; git asks for itself before each of its two fetches.
        assert len([request for request in asked if request.path.endswith("/info/refs")]) == 3


class TestHostileContent:
    def test_an_object_that_is_missing(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, store: LocalBlobStore, name: str
    ) -> None:
        git_lfs_server.commit(name, {"a/m.gguf": pointer("1" * 64, 5), "b": git_lfs_server.put(name, WEIGHTS)})
        manifest = source.resolve(model(git_lfs_server, name))
        with pytest.raises(ModelNotFound, match=r"Git LFS object of a/m\.gguf.*missing"):
            fetch(source, manifest.ref, manifest.by_path["a/m.gguf"], store)
        fetch(source, manifest.ref, manifest.by_path["b"], store)

    def test_an_object_with_other_bytes(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, store: LocalBlobStore, name: str
    ) -> None:
        git_lfs_server.commit(name, {"m.gguf": git_lfs_server.put(name, WEIGHTS)})
        git_lfs_server.object(name, Digest.sha256(WEIGHTS).hex).write_bytes(WEIGHTS[::-1])
        manifest = source.resolve(model(git_lfs_server, name))
        with pytest.raises(IntegrityError):
            fetch(source, manifest.ref, manifest.files[0], store)
        assert list(store.digests()) == []

    @pytest.mark.parametrize("size", [10**15, 10**30])
    def test_a_pointer_to_more_than_anybody_has(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str, size: int
    ) -> None:
        git_lfs_server.commit(name, {"m.gguf": pointer("1" * 64, size)})
        with pytest.raises(SourceError, match=r"allowed|begins like a pointer"):
            source.resolve(model(git_lfs_server, name))

    def test_submodules_are_left_out_and_nothing_of_theirs_runs(
        self,
        git_lfs_server: GitLfsServer,
        source: GitLFSSource,
        store: LocalBlobStore,
        name: str,
        tmp_path: Path,
    ) -> None:
        marker = tmp_path / "marker"
        modules = f'[submodule "s"]\n\tpath = s\n\turl = ext::touch {marker}\n\tupdate = !touch {marker}\n'
        attributes = "* filter=evil merge=evil diff=evil\n"
        files = {"m.bin": b"x", ".gitattributes": attributes.encode(), "hooks/post-checkout": b"#!/bin/sh\nexit 1\n"}
        git_lfs_server.commit(name, files, special={"s": ("160000", "1" * 40)})
        manifest = source.resolve(model(git_lfs_server, name))
        assert bring(source, manifest, store) == files
        assert manifest.left_out == (
            f"s: another repository (a submodule at {'1' * 40}), which is ingested on its own",
        )
        # git itself refuses a .gitmodules that would run something when it arrives
        git_lfs_server.commit(name, files | {".gitmodules": modules.encode()}, special={"s": ("160000", "1" * 40)})
        with pytest.raises(SourceMisbehaved, match="gitmodules"):
            source.resolve(model(git_lfs_server, name))
        assert not marker.exists()

    @pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "sub/../../x", "link/../.."])
    def test_links_out_of_the_repository_are_refused(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str, target: str
    ) -> None:
        git_lfs_server.commit(name, {"m.bin": b"x", "sub/y": b"y"}, special={"link": ("120000", target)})
        with pytest.raises(UnsafePath, match=r"link is a link that leads out of the model.*exclude"):
            source.resolve(model(git_lfs_server, name))
        assert len(source.resolve(model(git_lfs_server, name, "", "sub")).files) == 1
        excluding = replace(model(git_lfs_server, name), options=(("exclude", "link"),))
        assert len(source.resolve(excluding).files) == 2

    def test_links_are_the_files_that_they_lead_to(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, store: LocalBlobStore, name: str
    ) -> None:
        links = {"latest": "sub/y", "sub/up": "../m.bin", "twice": "latest"}
        special = {path: ("120000", target) for path, target in links.items()}
        git_lfs_server.commit(name, {"m.bin": b"x", "sub/y": b"y"}, special=special)
        manifest = source.resolve(model(git_lfs_server, name))
        files = {"m.bin": b"x", "sub/y": b"y", "latest": b"y", "sub/up": b"x", "twice": b"y"}
        assert bring(source, manifest, store) == files
        assert manifest.left_out == ()

    @pytest.mark.parametrize(
        ("target", "said"), [("sub", "the folder 'sub'"), (".", "the folder"), ("gone", "no file"), ("link", "no file")]
    )
    def test_links_to_no_file_are_left_out_and_named(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str, target: str, said: str
    ) -> None:
        git_lfs_server.commit(name, {"m.bin": b"x", "sub/y": b"y"}, special={"link": ("120000", target)})
        manifest = source.resolve(model(git_lfs_server, name))
        assert set(manifest.by_path) == {"m.bin", "sub/y"}
        (left_out,) = manifest.left_out
        assert left_out.startswith("link: ")
        assert said in left_out

    @pytest.mark.parametrize("path", ["a\\b", "a\\..\\b"])
    def test_names_that_are_not_safe(
        self, git_lfs_server: GitLfsServer, source: GitLFSSource, name: str, path: str
    ) -> None:
        git_lfs_server.commit(name, {path: b"x"})
        with pytest.raises(UnsafePath):
            source.resolve(model(git_lfs_server, name))

    def test_more_files_than_allowed(self, git_lfs_server: GitLfsServer, name: str) -> None:
        git_lfs_server.commit(name, {str(n): b"x" for n in range(5)})
        with pytest.raises(SourceError, match="more than 4 files"):
            GitLFSSource(SourceSettings(max_files=4)).resolve(model(git_lfs_server, name))
