"""Who may read git repositories with Git LFS, where credentials go, and where requests may not."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from tests.services.gitlfs import BASIC, PASSWORD, TOKEN, USERNAME, GitLfsServer, pointer
from tests.simulators.web import Page, WebServer
from weighbridge.domain.digest import Digest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceUnavailable,
    UsageError,
    WeighbridgeError,
)
from weighbridge.intake.fetching import fetch
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.git_lfs import GitLFSSource
from weighbridge.store.local import LocalBlobStore

pytestmark = pytest.mark.xdist_group("gitlfs")
WEIGHTS = b"GGUF" + bytes(range(256)) * 400
ADVERTISEMENT = {"Content-Type": "application/x-git-upload-pack-advertisement"}
READER = Auth("", USERNAME, PASSWORD)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of the test's own that needs credentials."""
    return f"closed/{abs(hash(request.node.nodeid))}.git"


def source(auth: Auth | None = None, **settings: object) -> GitLFSSource:
    return GitLFSSource(SourceSettings(auth=auth or Auth(), timeout_s=5, **settings))  # type: ignore[arg-type]


def ref(url: str, revision: str = "") -> ModelRef:
    return ModelRef("git-lfs", url, revision)


class TestCredentials:
    @pytest.mark.parametrize("auth", [READER, Auth(TOKEN), Auth.parse(f"{USERNAME}:{PASSWORD}")])
    def test_a_user_and_a_token_may_read(
        self, git_lfs_server: GitLfsServer, store: LocalBlobStore, name: str, auth: Auth
    ) -> None:
        git_lfs_server.commit(name, {"m.gguf": git_lfs_server.put(name, WEIGHTS), "c": b"{}"})
        reader = source(auth)
        manifest = reader.resolve(ref(git_lfs_server.address(name)))
        assert fetch(reader, manifest.ref, manifest.by_path["m.gguf"], store).digest == Digest.sha256(WEIGHTS)

    @pytest.mark.parametrize("auth", [Auth(), Auth("", USERNAME, "wrong-secret"), Auth("wrong-secret")])
    def test_others_are_told_what_to_do(self, git_lfs_server: GitLfsServer, name: str, auth: Auth) -> None:
        git_lfs_server.commit(name, {"c": b"{}"})
        with pytest.raises(AccessDenied, match="user:token") as error:
            source(auth).resolve(ref(git_lfs_server.address(name)))
        told = f"{error.value} {error.value.facts} {error.value.__cause__}"
        assert "wrong-secret" not in told
        assert b64encode(f"{USERNAME}:wrong-secret".encode()).decode() not in told

    def test_a_redirect_to_another_host_takes_no_credentials_along(
        self, git_lfs_server: GitLfsServer, name: str
    ) -> None:
        git_lfs_server.commit(name, {"c": b"{}"})
        elsewhere = f"http://localhost:{git_lfs_server.port}/{name}"
        with WebServer() as web:
            web.redirect(f"/{name}/info/refs", f"{elsewhere}/info/refs?service=git-upload-pack")
            before = git_lfs_server.count
            with pytest.raises(AccessDenied):
                source(READER).resolve(ref(web.url(f"/{name}")))
            (asked,) = git_lfs_server.requests(before, until=name)
            assert asked.authorization == ""
            assert web.requests[0].headers["authorization"] == BASIC
            limited = Auth("", USERNAME, PASSWORD, hosts=("localhost",))
            assert source(limited).resolve(ref(elsewhere)).files[0].path == "c"

    def test_git_gets_none_either_where_it_was_sent_elsewhere(
        self, git_lfs_server: GitLfsServer, store: LocalBlobStore, name: str
    ) -> None:
        name = name.replace("closed/", "open/")
        git_lfs_server.commit(name, {"c": b"{}", "m": git_lfs_server.put(name, WEIGHTS)})
        elsewhere = f"http://localhost:{git_lfs_server.port}/{name}/info/refs?service=git-upload-pack"
        with WebServer() as web:
            web.redirect("/r/info/refs", elsewhere)
            before, reader = git_lfs_server.count, source(READER)
            manifest = reader.resolve(ref(web.url("/r")))
            fetch(reader, manifest.ref, manifest.by_path["m"], store)
        asked = git_lfs_server.requests(before, until="/objects/storage/")
        assert len([request for request in asked if "git-upload-pack" in request.uri]) >= 4
        assert {request.authorization for request in asked} == {""}


class TestLfsConfig:
    """What a repository's own file may change."""

    def test_another_server_is_asked_without_our_credentials_and_resumes(
        self, git_lfs_server: GitLfsServer, store: LocalBlobStore, name: str
    ) -> None:
        digest = Digest.sha256(WEIGHTS * 30)
        with WebServer() as web:
            href = web.put("/o", WEIGHTS * 30, cut_after=2_000_000, next=Page(WEIGHTS * 30))
            one = {"oid": digest.hex, "size": len(WEIGHTS) * 30, "actions": {"download": {"href": href}}}
            web.put("/lfs/objects/batch", json.dumps({"objects": [one]}).encode())
            settings = f"[lfs]\n\turl = {web.url('/lfs')}\n".encode()
            git_lfs_server.commit(name, {"m": pointer(digest.hex, len(WEIGHTS) * 30), ".lfsconfig": settings})
            reader = source(READER)
            manifest = reader.resolve(ref(git_lfs_server.address(name)))
            assert sorted(manifest.by_path) == [".lfsconfig", "m"]
            assert fetch(reader, manifest.ref, manifest.by_path["m"], store).digest == digest
            assert [request.method for request in web.requests] == ["POST", "GET", "GET"]
            assert all("authorization" not in request.headers for request in web.requests)
            assert "range" in web.requests[2].headers

    @pytest.mark.parametrize(
        "url", ["ssh://host/x", "file:///etc", "https://u:p@host/x", "-x", "https://", "https://[/"]
    )
    def test_servers_that_are_no_plain_web_address_are_refused(
        self, git_lfs_server: GitLfsServer, name: str, url: str
    ) -> None:
        settings = f'[lfs]\n\turl = "{url}"\n'.encode()
        git_lfs_server.commit(name, {"m": pointer("1" * 64, 1), ".lfsconfig": settings})
        with pytest.raises(SourceError, match="lfsconfig"):
            source(READER).resolve(ref(git_lfs_server.address(name)))
        git_lfs_server.commit(name, {"m": b"no pointer", ".lfsconfig": settings})
        assert len(source(READER).resolve(ref(git_lfs_server.address(name))).files) == 2


class TestReferences:
    @pytest.mark.parametrize(
        "url",
        [
            "--upload-pack=touch MARKER",
            "-x",
            "ext::touch MARKER",
            "file:///tmp/x.git",
            "/tmp/x.git",
            "ssh://host/x.git",
            "git@host:x.git",
            "git://host/x.git",
            "https://user:hunter2@host/x.git",
            "https://",
            "https://host",
            "https://host:99999/x.git",
            "https://host/x.git?a=b",
            "https://host/x y.git",
            "https://host/x\n.git",
            "https://host/x\0.git",
            "",
        ],
    )
    def test_addresses_that_git_would_take_as_something_else(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nothing")  # git is not run
        marker = tmp_path / "marker"
        with pytest.raises(InvalidReference) as error:
            source().resolve(ref(url.replace("MARKER", str(marker))))
        assert "hunter2" not in f"{error.value} {error.value.facts}"
        assert not marker.exists()

    @pytest.mark.parametrize(
        "revision",
        ["--upload-pack=x", "-b", "a b", "a..b", "a\nb", "a\0b", "x^{}", "HEAD~1", "a:b", "*", "@{-1}", "a\\b", "[a]"],
    )
    def test_revisions_that_git_would_take_as_something_else(self, revision: str) -> None:
        with pytest.raises(InvalidReference, match="not a revision"):
            source().resolve(ref("http://127.0.0.1:1/x.git", revision))

    @pytest.mark.parametrize("subdir", ["..", "a/../b", "a\0b", "/..", "a//b"])
    def test_folders_that_lead_elsewhere(self, subdir: str) -> None:
        with pytest.raises(WeighbridgeError):
            source().resolve(ModelRef("git-lfs", "http://127.0.0.1:1/x.git", "", (("subdir", subdir),)))

    def test_an_abbreviated_commit_is_explained(self, git_lfs_server: GitLfsServer, name: str) -> None:
        oid = git_lfs_server.commit(name, {"c": b"{}"})
        with pytest.raises(ModelNotFound, match="40 digits"):
            source(READER).resolve(ref(git_lfs_server.address(name), oid[:12]))


class TestAddresses:
    def test_private_addresses_are_refused_before_git_runs(self, git_lfs_server: GitLfsServer, name: str) -> None:
        git_lfs_server.commit(name, {"c": b"{}"})
        before = git_lfs_server.count
        with pytest.raises(AddressRefused):
            source(READER, addresses=AddressPolicy(private=())).resolve(ref(git_lfs_server.address(name)))
        assert git_lfs_server.requests(before) == []

    def test_git_is_held_to_the_address_that_was_judged(
        self, git_lfs_server: GitLfsServer, store: LocalBlobStore, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        git_lfs_server.commit(name, {"c": b"{}", "m": git_lfs_server.put(name, WEIGHTS)})
        policy = AddressPolicy(private=("127.0.0.0/8",))
        # A name that no resolver knows, and that git therefore finds through what it is told only.
        resolve = AddressPolicy.resolve
        monkeypatch.setattr(
            AddressPolicy,
            "resolve",
            lambda self, host, port: resolve(self, "127.0.0.1" if host == "models.invalid" else host, port),
        )
        limited = Auth("", USERNAME, PASSWORD)
        reader = source(limited, addresses=policy)
        manifest = reader.resolve(ref(f"http://models.invalid:{git_lfs_server.port}/{name}"))
        assert len(fetch_all(reader, manifest.ref, store)) == 2

    def test_redirects_to_private_addresses_are_refused(self) -> None:
        policy = AddressPolicy(private=("127.0.0.1/32",))
        with WebServer() as web:
            web.redirect("/r/info/refs", "http://127.0.0.2:1/r/info/refs")
            with pytest.raises(AddressRefused):
                source(addresses=policy).resolve(ref(web.url("/r")))
            assert len(web.requests) == 1

    def test_git_itself_follows_no_redirect(self) -> None:
        """A server may send git elsewhere after it has sent us nowhere."""
        with WebServer() as web, WebServer() as other:
            elsewhere = Page(status=302, headers={"Location": other.url("/r/info/refs")}, etag="")
            web.put("/r/info/refs", b"", headers=ADVERTISEMENT, next=elsewhere)
            with pytest.raises(SourceError):
                source(Auth("secret")).resolve(ref(web.url("/r")))
            assert len(web.requests) >= 2  # ours, then git's own
            assert other.requests == []


def fetch_all(reader: GitLFSSource, pinned: ModelRef, store: LocalBlobStore) -> list[str]:
    return [fetch(reader, pinned, entry, store).path for entry in reader.resolve(pinned).files]


class TestServersThatFail:
    def test_a_server_that_hangs_in_front_of_git_is_unavailable(self) -> None:
        with WebServer() as web:
            begin = b"001e# service=git-upload-pack\n0000"
            hanging = Page(begin, headers=ADVERTISEMENT, etag="", hang_after=10)
            web.put("/r/info/refs", begin, headers=ADVERTISEMENT, etag="", next=hanging)
            with pytest.raises(SourceUnavailable, match="too slow"):
                GitLFSSource(SourceSettings(timeout_s=1)).resolve(ref(web.url("/r")))
            assert len(web.requests) >= 2  # ours, then git's own

    def test_a_server_that_hangs_at_once_is_unavailable(self) -> None:
        with WebServer() as web:
            web.put("/r/info/refs", b"x" * 100, headers=ADVERTISEMENT, hang_after=10)
            with pytest.raises(SourceUnavailable):
                GitLFSSource(SourceSettings(timeout_s=1)).resolve(ref(web.url("/r")))

    @pytest.mark.parametrize("content", [b"", b"garbage", b"001e# service=git-upload-pack\n0000ffff" + b"x" * 90])
    def test_one_that_speaks_no_git_is_told(self, content: bytes) -> None:
        with WebServer() as web:
            web.put("/r/info/refs", content, headers=ADVERTISEMENT)
            with pytest.raises(SourceError) as error:
                source().resolve(ref(web.url("/r")))
            assert not isinstance(error.value, UsageError)
            assert error.value.remedy
