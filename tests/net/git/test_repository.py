"""Git's own part, with repositories on this machine's disk: what the program is allowed, told and asked."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.gitlfs import GitLfsServer, git
from weighbridge.errors import InvalidReference, ModelNotFound, SourceError, SourceMisbehaved, SourceUnavailable
from weighbridge.net.git.errors import failure
from weighbridge.net.git.repository import BLOB_LIMIT, GitRepository
from weighbridge.net.pace import Pace
from weighbridge.net.retrying import Retrying

LARGE = bytes(range(256)) * (BLOB_LIMIT // 256 + 1)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with a small and a large file, a branch and both kinds of tags."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "sub").mkdir()
    (folder / "small.json").write_bytes(b"{}")
    (folder / "sub" / "large.bin").write_bytes(LARGE)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    git(folder, "tag", "light")
    git(folder, "tag", "--annotate", "--message=x", "heavy")
    git(folder, "config", "uploadpack.allowFilter", "true")
    return folder


def opened(folder: Path, **settings: int) -> GitRepository:
    return GitRepository(f"file://{folder}", protocols=("file",), **settings)


class TestNames:
    @pytest.mark.parametrize("name", ["", "main", "light", "heavy", "refs/heads/main", "refs/tags/heavy"])
    def test_every_name_leads_to_its_commit(self, origin: Path, name: str) -> None:
        assert opened(origin).commit(name) == git(origin, "rev-parse", "HEAD")

    def test_a_branch_and_a_tag_of_one_name_are_told_apart(self, origin: Path) -> None:
        git(origin, "branch", "light")
        assert opened(origin).commit("light") == git(origin, "rev-parse", "HEAD")
        git(origin, "commit", "--quiet", "--allow-empty", "--message=second")
        git(origin, "branch", "--force", "light", "HEAD")
        with pytest.raises(ModelNotFound, match=r"branch and a tag.*refs/tags/light"):
            opened(origin).commit("light")
        assert opened(origin).commit("refs/heads/light") == git(origin, "rev-parse", "HEAD")
        assert opened(origin).commit("refs/tags/light") == git(origin, "rev-parse", "HEAD~")

    def test_names_are_whole(self, origin: Path) -> None:
        git(origin, "branch", "other/main2")
        for name in ("mai", "main2", "heads/main", "nothing"):
            with pytest.raises(ModelNotFound, match="no branch or tag"):
                opened(origin).commit(name)

    def test_abbreviated_commits_are_explained(self, origin: Path) -> None:
        with pytest.raises(ModelNotFound, match="all of its 40 digits"):
            opened(origin).commit(git(origin, "rev-parse", "HEAD")[:10])

    def test_an_empty_repository_has_no_commit(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "--quiet", "--bare", "empty.git")
        with pytest.raises(ModelNotFound, match="no commit yet"):
            opened(tmp_path / "empty.git").commit("")

    def test_sha256_repositories_are_refused(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "--quiet", "--object-format=sha256", "new")
        git(tmp_path / "new", "commit", "--quiet", "--allow-empty", "--message=x")
        with pytest.raises(SourceError, match="SHA-256"):
            opened(tmp_path / "new").commit("")


class TestContents:
    def test_large_blobs_stay_with_the_server_until_they_are_asked_for(self, origin: Path) -> None:
        repository = opened(origin)
        commit = repository.fetch_commit(repository.commit("main"))
        small, large = repository.files(commit)
        assert (small.path, small.size, small.mode) == ("small.json", 2, "100644")
        assert (large.path, large.size) == ("sub/large.bin", None)
        assert [file.path for file in repository.files(commit, "sub")] == ["large.bin"]
        assert list(repository.contents([small.oid])) == [(small.oid, b"{}")]
        assert repository.size(large.oid) == len(LARGE)
        assert [file.size for file in repository.files(commit)] == [2, len(LARGE)]
        for offset in (0, 1_000_001, len(LARGE)):
            with repository.blob(large.oid, offset) as chunks:
                assert b"".join(chunks) == LARGE[offset:]

    def test_a_server_that_cannot_leave_blobs_out_sends_them(self, origin: Path) -> None:
        git(origin, "config", "uploadpack.allowFilter", "false")
        repository = opened(origin)
        assert [file.size for file in repository.files(repository.fetch_commit(repository.commit("")))] == [
            2,
            len(LARGE),
        ]

    def test_no_history_comes(self, origin: Path) -> None:
        first = git(origin, "rev-parse", "HEAD")
        git(origin, "commit", "--quiet", "--allow-empty", "--message=second")
        repository = opened(origin)
        repository.fetch_commit(repository.commit("main"))
        with pytest.raises(ModelNotFound):
            list(repository.files(first))

    def test_a_tag_is_followed_to_its_commit_and_a_tree_is_none(self, origin: Path) -> None:
        repository = opened(origin)
        tag, commit, tree = (git(origin, "rev-parse", name) for name in ("refs/tags/heavy", "HEAD", "HEAD^{tree}"))
        assert tag != commit
        assert repository.fetch_commit(tag) == commit
        with pytest.raises(ModelNotFound, match="is not a commit"):
            repository.fetch_commit(tree)

    def test_what_the_server_does_not_have_is_not_found(self, origin: Path) -> None:
        with pytest.raises(ModelNotFound, match="does not serve that commit"):
            opened(origin).fetch_commit("1" * 40)

    @pytest.mark.parametrize(("folder", "message"), [("nothing", "does not exist"), ("small.json", "is a file")])
    def test_folders_that_are_none(self, origin: Path, folder: str, message: str) -> None:
        repository = opened(origin)
        commit = repository.fetch_commit(repository.commit(""))
        with pytest.raises(ModelNotFound, match=message):
            list(repository.files(commit, folder))

    def test_settings_are_read_from_a_commits_file_and_include_nothing(self, origin: Path, tmp_path: Path) -> None:
        (tmp_path / "other").write_text("[lfs]\n\turl = https://other.example\n")
        (origin / ".lfsconfig").write_text(f"[include]\n\tpath = {tmp_path}/other\n[a]\n\tb = 1\n")
        git(origin, "add", ".")
        git(origin, "commit", "--quiet", "--message=x")
        repository = opened(origin)
        commit = repository.fetch_commit(repository.commit(""))
        assert repository.setting(commit, ".lfsconfig", "lfs.url") == ""
        assert repository.setting(commit, ".lfsconfig", "lfs.url", "a.b") == "1"
        assert repository.setting(commit, "nothing", "a.b") == ""


class TestIsolation:
    @pytest.mark.parametrize(
        "url", ["file:///nothing", "ext::sh -c 'touch MARKER'", "ssh://host/x.git", "git://host/x"]
    )
    def test_other_transports_are_refused_by_git_itself(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        marker = tmp_path / "marker"
        repository = GitRepository(url.replace("MARKER", str(marker)))
        for ask in (lambda: repository.commit("main"), lambda: repository.fetch_commit("1" * 40)):
            with pytest.raises(InvalidReference, match="only use https and http"):
                ask()
        assert not marker.exists()

    def test_the_same_transport_would_run_where_it_is_allowed(self, tmp_path: Path) -> None:
        """What the test above refuses is real: the marker would be made."""
        marker = tmp_path / "marker"
        with pytest.raises((SourceMisbehaved, SourceUnavailable)):
            GitRepository(f"ext::touch {marker}", protocols=("ext",)).commit("main")
        assert marker.exists()

    def test_this_machines_configuration_hooks_and_templates_do_not_count(
        self, origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        marker, hooks = tmp_path / "marker", tmp_path / "template" / "hooks"
        hooks.mkdir(parents=True)
        for name in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc"):
            (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
            (hooks / name).chmod(0o755)
        (tmp_path / ".gitconfig").write_text(
            f"[init]\n\ttemplateDir = {hooks.parent}\n[core]\n\thooksPath = {hooks}\n\tsshCommand = touch {marker}\n"
            f'[url "https://127.0.0.1:1/"]\n\tinsteadOf = file://\n[core]\n\tfsmonitor = touch {marker}\n'
        )
        for name in ("HOME", "XDG_CONFIG_HOME"):
            monkeypatch.setenv(name, str(tmp_path))
        for name, value in {
            "GIT_DIR": "/nothing",
            "GIT_CONFIG_COUNT": "x",
            "GIT_SSH": "false",
            "GIT_TRACE": "1",
        }.items():
            monkeypatch.setenv(name, value)
        repository = opened(origin)
        assert len(list(repository.files(repository.fetch_commit(repository.commit("main"))))) == 2
        assert not marker.exists()

    def test_its_folder_goes_with_it(self, origin: Path) -> None:
        repository = opened(origin)
        folder = repository._folder
        assert (folder / "objects").is_dir()
        del repository
        gc.collect()
        assert not folder.exists()

    def test_secrets_stand_in_the_environment_of_network_commands_only(self) -> None:
        repository = GitRepository("https://host.example:8443/a.git", authorization="Bearer secret")
        assert "secret" not in str(repository._environment(network=False))
        told = repository._environment(network=True)
        assert told["GIT_CONFIG_KEY_0"] == "http.https://host.example:8443/.extraHeader"
        assert told["GIT_CONFIG_VALUE_0"] == "Authorization: Bearer secret"
        assert "secret" not in (repository._folder / "config").read_text()


class TestLimits:
    def test_a_server_that_does_not_end_is_given_up(self) -> None:
        with pytest.raises(SourceUnavailable, match=r"more than 0\.5 seconds") as error:
            GitRepository("ext::sleep 60", protocols=("ext",), pace=Pace(lifetime_s=0.5)).commit("main")
        assert error.value.facts["attempts"] == 1

    def test_a_server_that_prepares_a_pack_for_long_is_waited_for(self, git_lfs_server: GitLfsServer) -> None:
        """It sends five bytes now and then meanwhile, as every git server does."""
        folder, name = git_lfs_server.folder, "open/slowly-packed.git"
        commit = git_lfs_server.commit(name, {"a.bin": b"x"})
        (slow := folder / "slow").write_text('#!/bin/sh\nsleep 4\nexec "$@"\n')
        slow.chmod(0o755)
        settings = folder / ".gitconfig"
        settings.write_text(f"[uploadpack]\n\tpackObjectsHook = {slow}\n\tkeepAlive = 1\n")
        try:
            url, once = git_lfs_server.address(name), Retrying(attempts=1)
            repository = GitRepository(url, pace=Pace(window_s=2), retrying=once)
            assert repository.fetch_commit(repository.commit("main")) == commit
        finally:
            settings.unlink()

    def test_a_fetch_brings_no_more_than_it_may(self, origin: Path) -> None:
        (origin / "random").write_bytes(os.urandom(900_000))
        git(origin, "add", ".")
        git(origin, "commit", "--quiet", "--message=x")
        repository = opened(origin, max_size=200_000)
        with pytest.raises(SourceError, match="more than the 200,000 bytes"):
            repository.fetch_commit(repository.commit(""))

    def test_a_tree_of_endless_names_is_read_no_further_than_wanted(self, origin: Path) -> None:
        blob = git(origin, "hash-object", "-w", "--stdin", stdin=b"x")
        tree = git(origin, "mktree", stdin="".join(f"100644 blob {blob}\t{n}\n" for n in range(100)).encode())
        for _ in range(7):
            tree = git(origin, "mktree", stdin="".join(f"040000 tree {tree}\t{n:02}\n" for n in range(50)).encode())
        git(origin, "update-ref", "refs/heads/bomb", git(origin, "commit-tree", tree, "-m", "x"))
        repository = opened(origin)
        files = repository.files(repository.fetch_commit(repository.commit("bomb")))
        assert len([next(files) for _ in range(1000)]) == 1000
        files.close()

    @pytest.mark.parametrize("name", [".git", ".GIT", "..", "."])
    def test_trees_that_lead_out_are_refused_when_they_arrive(self, origin: Path, name: str) -> None:
        blob = bytes.fromhex(git(origin, "hash-object", "-w", "--stdin", stdin=b"x"))
        content = b"100644 " + name.encode() + b"\0" + blob
        tree = git(origin, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=content)
        git(origin, "update-ref", "refs/heads/bad", git(origin, "commit-tree", tree, "-m", "x"))
        repository = opened(origin)
        with pytest.raises(SourceMisbehaved):
            repository.fetch_commit(repository.commit("bad"))


@pytest.mark.parametrize(
    ("printed", "kind"),
    [
        (b"fatal: unable to access 'u': The requested URL returned error: 403", "AccessDenied"),
        (b"fatal: could not read Username for 'u': terminal prompts disabled", "AccessDenied"),
        (b"fatal: repository 'u' not found", "ModelNotFound"),
        (b"fatal: remote error: upload-pack: not our ref 1111", "ModelNotFound"),
        (
            b"error: RPC failed; curl 28 Operation too slow.\nfatal: expected flush after ref listing",
            "SourceUnavailable",
        ),
        (b"error: unable to write file: No space left on device", "StoreFull"),
        (b"fatal: \xff\x1b[31mfunny", "SourceMisbehaved"),
        (b"", "SourceMisbehaved"),
    ],
)
def test_what_git_says_becomes_our_errors(printed: bytes, kind: str) -> None:
    error = failure("https://host/x.git", printed, 1)
    assert type(error).__name__ == kind
    assert str(error).isprintable()


def test_without_git_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from weighbridge.net.git import repository as gitrepository

    unknown: Callable[[], tuple[int, int]] = lambda: (0, 0)  # noqa: E731
    monkeypatch.setattr(gitrepository, "_git_version", unknown)
    with pytest.raises(SourceError, match="apt-get install git"):
        GitRepository("https://host/x.git")
