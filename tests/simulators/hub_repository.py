"""What the Hub simulator holds: repositories, their commits, branches and tags, and the digests of their files.

A commit's sha follows from its listing, so that the same content always has the same one. Not here: the protocol (hub).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

LFS_SIZE = 1024 * 1024
LFS_SUFFIXES = (".bin", ".gguf", ".h5", ".npy", ".npz", ".onnx", ".pkl", ".pt", ".pth", ".safetensors", ".zip")
_CHUNK = 4 * 1024 * 1024


@dataclass(frozen=True)
class StoredFile:
    """One file of a commit, in memory or on disk.

    Attributes:
        content: the bytes, or None when they lie at `location`.
        location: the file on disk.
        size: bytes.
        sha256: hex.
        git_sha1: git's blob id of the content, hex.
        lfs: whether git would keep it through LFS.
        xet_hash: the hash under which Xet keeps it, or empty.
        modified_ns: mtime of `location`; a file that was written since is another one.
    """

    size: int
    sha256: str
    git_sha1: str
    lfs: bool
    content: bytes | None = None
    location: Path | None = None
    xet_hash: str = ""
    modified_ns: int = 0

    @property
    def pointer(self) -> bytes:
        """The LFS pointer that git keeps in the file's place."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()
            if self.lfs
            else b""
        )

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_sha1

    @cached_property
    def blob_id(self) -> str:
        """Git's blob id: of the pointer for an LFS file."""
        return git_sha1(self.pointer) if self.lfs else self.git_sha1

    @property
    def unchanged(self) -> bool:
        """Whether the bytes on disk are still those of the commit."""
        if self.location is None:
            return True
        try:
            status = self.location.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified_ns)


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def is_lfs(path: str, size: int) -> bool:
    return size >= LFS_SIZE or path.endswith(LFS_SUFFIXES)


def in_memory(path: str, content: bytes, xet_hash: str = "") -> StoredFile:
    sha256 = hashlib.sha256(content).hexdigest()
    return StoredFile(
        len(content), sha256, git_sha1(content), is_lfs(path, len(content)), content=content, xet_hash=xet_hash
    )


class DigestCache:
    """Files on disk with their digests, which are computed once per path, size and mtime."""

    def __init__(self) -> None:
        self._files: dict[tuple[Path, int, int], StoredFile] = {}
        self._lock = threading.Lock()

    def describe(self, path: Path) -> StoredFile:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        with self._lock:
            if key not in self._files:
                self._files[key] = self._read(path, status)
            return self._files[key]

    def _read(self, path: Path, status: os.stat_result) -> StoredFile:
        sha256 = hashlib.sha256()
        sha1 = hashlib.sha1(b"blob %d\0" % status.st_size, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sha256.update(chunk)
                sha1.update(chunk)
        return StoredFile(
            status.st_size,
            sha256.hexdigest(),
            sha1.hexdigest(),
            is_lfs(path.name, status.st_size),
            location=path,
            modified_ns=status.st_mtime_ns,
        )


@dataclass
class Repository:
    """A model or data set.

    Attributes:
        id: `org/name`, or `name` for the oldest ones.
        kind: `models` or `datasets`.
        private: readers without a token of the hub's are told that there is no such repository.
        gated: readers without a token of the hub's are told to ask for access; `auto`, or `manual` for True.
        folder: where its files lie; None when they are given by `commit`.
    """

    id: str
    kind: str = "models"
    private: bool = False
    gated: bool | str = False
    folder: Path | None = None
    commits: dict[str, dict[str, StoredFile]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(
        self, files: Mapping[str, bytes], *, branch: str = "main", xet_hashes: Mapping[str, str] | None = None
    ) -> str:
        """Make these files the whole content of a branch; return the commit's sha."""
        hashes = xet_hashes or {}
        return self._record({path: in_memory(path, data, hashes.get(path, "")) for path, data in files.items()}, branch)

    def refresh(self, digests: DigestCache) -> None:
        """Let main follow the folder."""
        if self.folder is None:
            return
        found = {}
        pending = [self.folder]
        while pending:
            with os.scandir(pending.pop()) as listing:
                for item in listing:
                    if item.is_dir():
                        pending.append(Path(item.path))
                    else:
                        path = Path(item.path)
                        found[path.relative_to(self.folder).as_posix()] = digests.describe(path)
        self._record(found, "main")

    def _record(self, files: dict[str, StoredFile], branch: str) -> str:
        lines = "\n".join(f"{files[path].blob_id} {path!r}" for path in sorted(files))
        sha = hashlib.sha1(f"{self.kind}/{self.id}\n{lines}".encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def find(self, revision: str) -> str:
        """Return the commit of a branch, tag or commit, or nothing."""
        for name, refs in (("refs/heads/", self.branches), ("refs/tags/", self.tags)):
            short = revision.removeprefix(name)
            if short in refs:
                return refs[short]
        return revision if revision in self.commits else ""
