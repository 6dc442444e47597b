"""The source `git-lfs`: a commit of a git repository over http(s), its large files in Git LFS or in git itself.

`git+https://host/repo.git@revision#subdir`; the revision is a branch, a tag, a whole `refs/…` name or a commit of 40
digits, HEAD without one. The model is every file of the commit, or of its folder `subdir`, including `.gitattributes`
and the like, as on the Hugging Face Hub, so that the same content has the same identity from both.

Every file whose content is a pointer of Git LFS counts as one, whatever `.gitattributes` says: those change from commit
to commit and are often lost when folders are copied, and a model whose weights are 130 bytes of text is useless.
git_tree selects the files of the model. Not here: how git is run (git.repository), and Git LFS's protocol (git.lfs).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from threading import Lock
from typing import ClassVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import Selection
from weighbridge.domain.source_kinds.git_lfs import GIT_REVISION
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
)
from weighbridge.net.addresses import port_of
from weighbridge.net.git.lfs import BATCH_SIZE, POINTER_LIMIT, LfsServer, Pointer
from weighbridge.net.git.repository import BLOB_LIMIT, COMMIT, GitFile, GitRepository
from weighbridge.net.responses import shown
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import FetchedDocument, Transfer, same_origin
from weighbridge.sources.git_tree import read_tree
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options

OPTIONS = frozenset({"subdir"})
#: Commits whose files stay cached, each with a temporary folder of its small files.
KEPT_COMMITS = 8
_REFS = "/info/refs"
_ADVERTISEMENT = "application/x-git-upload-pack-advertisement"


@dataclass(frozen=True)
class _Commit:
    """A commit that was fetched, and its files by path: the pointer, or the blob that git has."""

    repository: GitRepository
    oid: str
    files: Mapping[str, Pointer | GitFile]
    lfs: LfsServer
    left_out: tuple[str, ...]


class GitLFSSource:
    """Git repositories over http(s); see the module.

    The credentials of the settings go to the repository's own origin, and to the hosts that they are limited to.
    """

    kind: ClassVar[str] = "git-lfs"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._transfer = Transfer.of(settings)
        self._lock = Lock()
        self._commits: OrderedDict[tuple[str, str, object], _Commit] = OrderedDict()
        self._fetching = tuple(Lock() for _ in range(16))

    def resolve(self, ref: ModelRef) -> Manifest:
        """Fetch one commit without history and without its large blobs, and list its files.

        LFS files have a sha256, the others git's blob id; the size of a large file in git is not known at this point.

        Raises:
            InvalidReference: the address, revision or subdir is invalid; git is not run then.
            ModelNotFound: no such repository, revision or folder, or no file in it.
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.read` and `gitfailures`.
            UnsafePath: a name that is not safe everywhere, or a symbolic link.
        """
        refuse_unknown_options(ref, OPTIONS)
        commit = self._commit(ref)
        entries = tuple(_entry(path, file) for path, file in commit.files.items())
        if not entries:
            raise ModelNotFound(f"There are no files in {ref.uri}.", "Name a folder that has some.", uri=ref.uri)
        return refuse_oversize(Manifest(ref.pinned(commit.oid), entries, left_out=commit.left_out), self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open a file of the pinned commit, which is fetched first unless it is cached.

        Raises:
            ModelNotFound: the server no longer serves the commit, or lacks the object that a pointer names.
            InvalidReference: the reference is not pinned to a commit.
        """
        if not COMMIT.fullmatch(ref.revision):
            raise InvalidReference(f"{ref.uri} is not pinned to a commit.", "Resolve it first.", uri=ref.uri)
        commit = self._commit(ref)
        file = commit.files.get(entry.path)
        if file is None:
            raise ModelNotFound(f"{ref.uri} has no file {entry.path}.", "Check the lock file.", path=entry.path)
        if isinstance(file, Pointer):
            with commit.lfs.open(file, entry.path, offset, _next_pointers(commit, entry.path)) as stream:
                yield stream
            return
        size = commit.repository.size(file.oid) if file.size is None else file.size
        if file.size is None and size < BLOB_LIMIT:
            # The server omitted more blobs than the filter asks for; this one may be a pointer, which has to be read.
            raise SourceMisbehaved(
                f"{shown(ref.id)} does not send {entry.path}, which is a small file.", "Ask the server's operator."
            )
        with commit.repository.blob(file.oid, offset) as chunks:
            yield ByteStream(min(offset, size), chunks, size)

    def _commit(self, ref: ModelRef) -> _Commit:
        """Return the commit of a reference; one thread fetches it while others wait for it."""
        url, revision = _address(ref), _revision(ref)
        repository = None
        if not COMMIT.fullmatch(revision):
            repository = self._repository(url)
            revision = repository.commit(revision)
        key = (url, revision, ref.options)
        with self._fetching[hash(key) % len(self._fetching)]:
            with self._lock:
                if key in self._commits:
                    self._commits.move_to_end(key)
                    return self._commits[key]
            commit = self._fetched(ref, repository or self._repository(url), revision)
            with self._lock:
                self._commits[key] = self._commits[(url, commit.oid, ref.options)] = commit
                while len(self._commits) > KEPT_COMMITS:
                    self._commits.popitem(last=False)
            return commit

    def _repository(self, url: str) -> GitRepository:
        """Return an empty local repository for an address; redirects are followed and checked here, not by git.

        Raises:
            ModelNotFound: there is no repository that can be read over smart HTTP.
            AccessDenied: the credentials are not enough, or there are none.
        """
        answer = self._advertisement(url)
        parts = urlsplit(answer.url)
        if answer.content_type != _ADVERTISEMENT or not parts.path.endswith(_REFS):
            raise ModelNotFound(
                f"{shown(answer.url)} is not a git repository that can be read over http.",
                "Write the address that git clone takes, without the parts that a browser adds to it.",
                url=shown(answer.url),
            )
        where = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix(_REFS)}"
        return GitRepository(
            where,
            authorization=self._authorization(url, where),
            pace=self._settings.pace,
            max_size=self._settings.max_size,
            addresses=self._addresses(where),
            retrying=self._settings.retrying,
        )

    def _advertisement(self, url: str) -> FetchedDocument:
        """Return the ref advertisement, the first response of a clone; git requests it again at the resulting URL."""
        try:
            return self._transfer.read(
                f"{url}{_REFS}?service=git-upload-pack",
                accept=f"{_ADVERTISEMENT}, */*",
                authorization=self._authorization(url, url),
                headers={"Git-Protocol": "version=2"},
            )
        except ModelNotFound as error:
            raise ModelNotFound(f"There is no git repository at {url}.", "Check the address.", **error.facts) from error
        except AddressRefused:
            raise
        except AccessDenied as error:
            raise AccessDenied(
                f"{url} refuses access, or there is no such repository.",
                "Name credentials that may read it (--token-env, --token-file or auth: in models.yaml). Many take "
                "a token as a password only: write user:token.",
                **error.facts,
            ) from error

    def _addresses(self, url: str) -> tuple[str, ...]:
        """Return the addresses that git is limited to, as it would resolve the name once more."""
        policy, parts = self._settings.addresses, urlsplit(url)
        if policy.private is None or getproxies():  # a proxy resolves the name, for Transfer and for git
            return ()
        return policy.resolve(parts.hostname or "", port_of(parts.scheme, parts.port))

    def _authorization(self, repository: str, url: str) -> str:
        """Return the credentials for a URL of the repository's origin, or of a host that they are limited to."""
        auth = self._settings.auth
        return auth.header(url) if auth.hosts or same_origin(repository, url) else ""

    def _fetched(self, ref: ModelRef, repository: GitRepository, oid: str) -> _Commit:
        url, oid = _address(ref), repository.fetch_commit(oid)
        tree = read_tree(repository, oid, _subdir(ref), Selection.of(ref), self._settings.max_files)
        listed = tree.files.values()
        small = {file.oid: file.path for file in listed if file.size is not None and file.size < POINTER_LIMIT}
        contents = repository.contents(sorted(small))
        pointers = {oid: pointer for oid, content in contents if (pointer := Pointer.parse(content, small[oid]))}
        files = {file.path: pointers.get(file.oid, file) for file in listed}
        configured = repository.setting(oid, ".lfsconfig", "lfs.url", "remote.origin.lfsurl") if pointers else ""
        endpoint = _lfs_endpoint(configured, repository.url)
        server = LfsServer(self._transfer, endpoint, partial(self._authorization, url))
        return _Commit(repository, oid, files, server, tree.left_out)


def _entry(path: str, file: Pointer | GitFile) -> FileEntry:
    digest = file.digest if isinstance(file, Pointer) else Digest("git-sha1", file.oid)
    return FileEntry(path, file.size, digest)


def _next_pointers(commit: _Commit, path: str) -> Iterator[Pointer]:
    """Yield the pointers that are probably opened next: files are fetched in the order of their names."""
    following = (file for name, file in commit.files.items() if name > path)
    return islice((file for file in following if isinstance(file, Pointer) and file.size), BATCH_SIZE)


def _address(ref: ModelRef) -> str:
    """Return the repository's address; raise InvalidReference unless it is a plain http or https one."""
    url = ref.id.rstrip("/")
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and "@" not in parts.netloc
    except ValueError:
        plain = False
    if not plain or parts.query or parts.fragment or not parts.path or re.search(r"[\x00-\x20\x7f\\]", ref.id):
        raise InvalidReference(
            f"{_without_secrets(url)!r} is not an http or https address of a git repository.",
            "Write git+https://host/repo.git, without user and password.",
        )
    return url


def _without_secrets(url: str) -> str:
    return url.rpartition("@")[2].partition("?")[0]


def _revision(ref: ModelRef) -> str:
    """Return the branch, tag or reference; raise InvalidReference for text that git would read as anything else."""
    revision = ref.revision
    if revision and not GIT_REVISION.fullmatch(revision):
        raise InvalidReference(
            f"{revision!r} is not a revision.", "Write a branch, a tag, or a commit of 40 digits.", uri=ref.uri
        )
    return revision


def _subdir(ref: ModelRef) -> str:
    given = ref.option("subdir")
    if len(given) > 1:
        raise InvalidReference("There are two subdirs.", "Keep one.", uri=ref.uri)
    subdir = "".join(given).strip("/")
    return safe_path(subdir) if subdir else ""


def _lfs_endpoint(configured: str, url: str) -> str:
    """Return the Git LFS server of a repository: the one of its `.lfsconfig`, else the usual address of the host.

    Raises:
        SourceError: `.lfsconfig` names something that is not a plain http or https address.
    """
    if not configured:
        return f"{url if url.endswith('.git') else f'{url}.git'}/info/lfs"
    try:
        parts = urlsplit(configured)
        plain = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and not parts.query
    except ValueError:
        plain = False
    downgraded = url.startswith("https:") and not configured.startswith("https:")
    if not plain or downgraded or re.search(r"[\x00-\x20\x7f\\]", configured):
        raise SourceError(
            f"The file .lfsconfig of {url} names a Git LFS server whose address is not accepted.",
            "It has to be a plain https address: ask the publisher to change lfs.url.",
            url=url,
        )
    return configured
