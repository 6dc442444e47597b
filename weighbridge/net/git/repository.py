"""A foreign git repository, read through the `git` program: its branches and tags, the files of a commit, and blobs.

The program works in an empty bare repository of its own in a temporary folder, which is removed with its owner. It
reads no configuration of this machine, never asks for a password, runs no hook and no filter, follows no submodule and
no redirect, and never writes a work tree. Not here: Git LFS (git.lfs), and which repository to read (sources).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO
from urllib.parse import urlsplit
from urllib.request import getproxies

from weighbridge.errors import ModelNotFound, SourceError, SourceMisbehaved, SourceUnavailable, UnsafePath
from weighbridge.net.addresses import port_of
from weighbridge.net.git.errors import failure
from weighbridge.net.pace import Pace
from weighbridge.net.retrying import Retrying
from weighbridge.system.processes import DEVNULL, PIPE, Child, inherited, printed_by, time_limit

#: Blobs of this many bytes and more stay on the server until they are requested by their id.
BLOB_LIMIT = 1024 * 1024
COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_REFS = 16 * 1024**2
_MAX_RECORD = 64 * 1024
_CHUNK = 1024 * 1024
#: `ulimit -f` limits every file that git writes, and so every pack, in blocks of 512 bytes (POSIX).
_LIMITED = 'ulimit -f "$1" 2>/dev/null; shift; exec git "$@"'
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
#: The file is rewritten after every fetch: git adds a setting to fetch missing blobs by itself, which it must not do.
_CONFIG = """
[core]
    repositoryformatversion = 0
    bare = true
    hooksPath = /dev/null
    bigFileThreshold = 16m
[protocol]
    version = 2
[transfer]
    fsckObjects = true
[fetch]
    negotiationAlgorithm = noop
    recurseSubmodules = false
[fetch "fsck"]
    hasDot = error
    hasDotdot = error
    hasDotgit = error
[credential]
    helper =
[gc]
    auto = 0
[maintenance]
    auto = false
# Without redirects git follows no http-alternates either, which would lead to unchecked hosts.
[http]
    followRedirects = false
    lowSpeedLimit = 1
    lowSpeedTime = {window_s}
"""


@dataclass(frozen=True)
class GitFile:
    """One entry of a commit's tree.

    Attributes:
        path: as git has it, unchecked; bytes that are not UTF-8 as surrogates.
        mode: `100644`, `100755`; `120000` for a symbolic link, `160000` for a submodule.
        oid: the blob's id in git; a submodule's commit.
        size: bytes, or None where the blob stayed on the server.
    """

    path: str
    mode: str
    oid: str
    size: int | None

    @property
    def is_link(self) -> bool:
        """Return whether it is a symbolic link."""
        return self.mode == "120000"

    @property
    def is_submodule(self) -> bool:
        """Return whether it names a commit of another repository."""
        return self.mode == "160000"


class GitRepository:
    """A repository on a server, and the part of it that was fetched; safe for several threads.

    Args:
        url: the address, without user or password.
        authorization: value of the Authorization header for the URL's origin; git reads it from its environment.
        pace: the slowest pace of a server that lists names, how long any may be silent, and the longest life of one
            request, even if bytes keep arriving.
        max_size: the most bytes of one fetch.
        addresses: the IP addresses that git may connect to; empty for those that the name resolves to.
        protocols: the transports that git may use.
        retrying: how often a request to an unavailable server is repeated.

    Raises:
        SourceError: git is not installed, or too old.
    """

    def __init__(
        self,
        url: str,
        *,
        authorization: str = "",
        pace: Pace | None = None,
        max_size: int = 4 * 1024**4,
        addresses: Sequence[str] = (),
        protocols: Sequence[str] = ("https", "http"),
        retrying: Retrying | None = None,
    ) -> None:
        _require_git((2, 38) if addresses else (2, 31))
        self.url = url
        self._max_size, self._protocols, self._lock = max_size, tuple(protocols), Lock()
        self._retrying = retrying or Retrying()
        self._secret_settings = _secret_settings(url, authorization, addresses)
        self._folder = Path(tempfile.mkdtemp(prefix="weighbridge-git-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        pace = pace or Pace()
        self._deadline_s = pace.lifetime_s
        # While a server prepares a pack, it sends a few bytes every 5 seconds: only names have to come at the pace. At
        # 0, curl would not notice a server that sends nothing at all.
        self._pace_of_names = ("-c", f"http.lowSpeedLimit={max(1, pace.lowest_speed)}")
        self._config = _CONFIG.format(window_s=max(1, round(pace.window_s)))
        self._run("init", "--quiet", "--bare", "--template=", ".")
        (self._folder / "config").write_text(self._config)

    def commit(self, revision: str) -> str:
        """Return the commit of a branch, a tag or a whole `refs/…` name; that of HEAD when it is empty.

        Raises:
            ModelNotFound: there is none, or a branch and a tag of that name differ.
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `git.errors.failure`, here and below.
        """
        names = [revision or "HEAD"]
        if revision and not revision.startswith("refs/"):
            names = [f"refs/heads/{revision}", f"refs/tags/{revision}"]
        asked = [*names, *(f"{name}^{{}}" for name in names)]
        lines = self._run(*self._pace_of_names, "ls-remote", "--", self.url, *asked, network=True)
        found: dict[str, str] = {}
        for line in lines.decode(errors="replace").splitlines():
            oid, _, name = line.partition("\t")
            found[name] = oid
        commits = {name: found.get(f"{name}^{{}}", found.get(name, "")) for name in names}
        distinct = sorted(set(commits.values()) - {""})
        if len(distinct) > 1:
            raise ModelNotFound(
                f"“{revision}” is a branch and a tag of {self.url}, with different commits.",
                f"Write refs/heads/{revision} or refs/tags/{revision}, or the commit.",
                revision=revision,
            )
        if not distinct:
            raise _no_revision(self.url, revision)
        if not COMMIT.fullmatch(distinct[0]):
            raise SourceError(
                f"{self.url} names its commits by SHA-256.",
                "Only repositories that use SHA-1 can be read.",
                url=self.url,
            )
        return distinct[0]

    def fetch_commit(self, oid: str) -> str:
        """Fetch one commit, its trees and its small blobs, without history; return its id (that of a tag is different).

        Blobs of `BLOB_LIMIT` bytes and more stay on servers that can leave them out.

        Raises:
            ModelNotFound: the server no longer serves it, or it is not a commit.
        """
        with self._lock:
            self._fetch(oid, "--depth=1", f"--filter=blob:limit={BLOB_LIMIT}")
        commit = self._try("rev-parse", "--verify", "--quiet", f"{oid}^{{commit}}").decode().strip()
        if not commit:
            raise ModelNotFound(f"{oid} is not a commit of {self.url}.", "Name a commit, a branch or a tag.", oid=oid)
        return commit

    def _fetch(self, oid: str, *options: str) -> None:
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")
        try:
            self._run("fetch", *quiet, *options, "--", self.url, oid, network=True)
        finally:
            (self._folder / "config").write_text(self._config)

    def files(self, commit: str, folder: str = "") -> Iterator[GitFile]:
        """Yield the entries below a folder of a fetched commit one by one, as a small tree may name endless files.

        Raises:
            ModelNotFound: the commit has no such folder.
        """
        tree = f"{commit}:{folder}"
        kind = self._try("cat-file", "-t", tree).decode().strip()
        if kind != "tree":
            what = "is a file, not a folder" if kind == "blob" else "does not exist"
            raise ModelNotFound(
                f"The folder “{folder}” {what} in {self.url} at {commit}.", "Check the subdir.", folder=folder
            )
        with self._process("ls-tree", "-r", "-z", "-l", "--full-tree", tree) as output:
            for record in _records(output):
                yield _file(record)

    def contents(self, oids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the content of fetched small blobs."""
        with tempfile.TemporaryFile(dir=self._folder) as asked:
            asked.write("".join(f"{oid}\n" for oid in oids).encode())
            asked.seek(0)
            with self._process("cat-file", "--batch", stdin=asked) as output:
                while header := output.readline(200):
                    oid, kind, *size = header.decode().split()
                    if kind != "blob":
                        raise SourceMisbehaved(f"The blob {oid} of {self.url} is {kind}.", oid=oid)
                    yield oid, output.read(int(size[0]) + 1)[:-1]

    def setting(self, commit: str, path: str, *names: str) -> str:
        """Return the first setting of these names in a file that is written like git's configuration, or nothing."""
        blob = f"{commit}:{path}"
        if not self._try("cat-file", "-s", blob):
            return ""
        values = (self._try("config", "--no-includes", "--blob", blob, "--null", "--get", name) for name in names)
        return next((value.rstrip(b"\0").decode(errors="replace") for value in values if value), "")

    def size(self, oid: str) -> int:
        """Return a blob's size in bytes; fetches the blob when it stayed on the server."""
        with self._lock:
            size = self._try("cat-file", "-s", oid)
            if not size:
                self._fetch(oid, "--filter=blob:none")
                size = self._run("cat-file", "-s", oid)
        return int(size)

    @contextmanager
    def blob(self, oid: str, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """Open a fetched blob; git checks its bytes against its id while it reads."""
        with self._process("cat-file", "blob", oid) as output:
            while offset and (skipped := output.read(min(offset, _CHUNK))):
                offset -= len(skipped)
            yield iter(lambda: output.read(_CHUNK), b"")

    def _run(self, *arguments: str, network: bool = False) -> bytes:
        """Return what a command prints; one that uses the network runs again while the server is unavailable."""
        if network:
            return self._retrying.call(lambda: self._run_once(*arguments, network=True))
        return self._run_once(*arguments, network=False)

    def _run_once(self, *arguments: str, network: bool) -> bytes:
        with self._process(*arguments, network=network) as output:
            content = output.read(_MAX_REFS + 1)
            if len(content) > _MAX_REFS:
                raise SourceMisbehaved(f"{self.url} answers with more than {_MAX_REFS} bytes of names.", url=self.url)
        return content

    def _try(self, *arguments: str) -> bytes:
        """Return what a local command prints, or nothing when it fails because an object is missing."""
        with suppress(SourceError):
            return self._run(*arguments)
        return b""

    @contextmanager
    def _process(self, *arguments: str, network: bool = False, stdin: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
        """Run git and yield its output; leaving the context before the output's end stops git."""
        command = ["sh", "-c", _LIMITED, "git", str(max(1, self._max_size // 512)), *arguments]
        with (
            tempfile.TemporaryFile() as errors,
            Child(
                command,
                self._environment(network),
                stdin=stdin or DEVNULL,
                stdout=PIPE,
                stderr=errors,
                folder=self._folder,
            ) as process,
            time_limit(self._deadline_s, process) as late,
        ):
            output = process.stdout
            assert output is not None
            yield output
            if not output.read(1) and process.wait():
                if late.is_set():
                    raise SourceUnavailable(
                        f"{self.url} has taken more than {self._deadline_s:g} seconds.",
                        "Run the same command again later; WEIGHBRIDGE_MAX_TRANSFER_S allows more.",
                        url=self.url,
                        attempts=1,
                    )
                errors.seek(-min(errors.tell(), 4096), os.SEEK_END)
                raise failure(self.url, errors.read(), self._max_size)

    def _environment(self, network: bool) -> dict[str, str]:
        """Return git's environment: of this process only the path, proxies and trusted certificates."""
        values = {
            **inherited("PATH"),
            "HOME": str(self._folder),
            "LC_ALL": "C",
            "GIT_DIR": str(self._folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ALLOW_PROTOCOL": ":".join(self._protocols) if network else "none",
        }
        if not network:
            return values
        values |= inherited(*_PROXIES)
        for ours, gits in (("SSL_CERT_FILE", "GIT_SSL_CAINFO"), ("SSL_CERT_DIR", "GIT_SSL_CAPATH")):
            if os.environ.get(ours):
                values[gits] = os.environ[ours]
        for index, (name, value) in enumerate(self._secret_settings):
            values |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
        return values | {"GIT_CONFIG_COUNT": str(len(self._secret_settings))}


def _secret_settings(url: str, authorization: str, addresses: Sequence[str]) -> list[tuple[str, str]]:
    settings = []
    parts = urlsplit(url)
    if authorization:
        settings.append((f"http.{parts.scheme}://{parts.netloc}/.extraHeader", f"Authorization: {authorization}"))
    if addresses and not getproxies():  # a proxy resolves names itself
        port = port_of(parts.scheme, parts.port)
        settings.append(("http.curloptResolve", f"{parts.hostname}:{port}:{','.join(addresses)}"))
    return settings


def _records(output: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := output.read(_MAX_RECORD):
        *records, rest = (rest + chunk).split(b"\0")
        if len(rest) > _MAX_RECORD:
            raise UnsafePath("A file name in the repository is too long to be stored.")
        yield from records


def _file(record: bytes) -> GitFile:
    facts, _, path = record.partition(b"\t")
    mode, _, oid, size = facts.decode("ascii").split()
    return GitFile(path.decode(errors="surrogateescape"), mode, oid, int(size) if size.isdecimal() else None)


def _no_revision(url: str, revision: str) -> ModelNotFound:
    if not revision:
        return ModelNotFound(f"{url} has no commit yet.", "Name a repository that holds a model.", url=url)
    remedy = "Check its name."
    if re.fullmatch(r"[0-9a-f]{4,39}", revision):
        remedy = "If it is the beginning of a commit, write all of its 40 digits: servers accept no abbreviations."
    return ModelNotFound(f"{url} has no branch or tag “{revision}”.", remedy, url=url, revision=revision)


@cache
def _git_version() -> tuple[int, int]:
    text = ""
    with suppress(OSError):
        text = printed_by(["git", "version"], {**inherited("PATH"), "LC_ALL": "C"})
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _require_git(version: tuple[int, int]) -> None:
    if _git_version() < version:
        wanted = ".".join(map(str, version))
        raise SourceError(f"Git {wanted} or later is not installed here.", "Install it: apt-get install git.")
