"""A version in the layout of Hugging Face's cache, so that its clients load it by name without a network.

The layout is huggingface_hub's: `models--org--name/blobs/<etag>`, `snapshots/<commit>/…` of relative links to blobs,
`refs/<name>` with a commit. An etag is the sha256 of a file that the Hub keeps in LFS or Xet, and git's blob id of any
other, so that a client that comes online later recognises its files. Not here: publishing by name and version
(registries.export).
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from weighbridge.domain.digest import Hasher
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import RegistryError
from weighbridge.registries.folder_writer import (
    Link,
    content,
    holds,
    locked,
    place_file,
    placing_errors,
    require_passed,
)
from weighbridge.store.interface import BlobStore
from weighbridge.system import whole_files

#: The largest file that the Hub accepts without LFS or Xet.
MAX_REGULAR_SIZE = 10 * 1024 * 1024
_MAX_ATTRIBUTES_SIZE = 256 * 1024
_COMMIT = re.compile(r"[0-9a-f]{40}")
#: The LFS patterns of the Hub's own .gitattributes of a new repository.
# fmt: off
_LFS_SUFFIXES = (
    ".7z", ".arrow", ".bin", ".bz2", ".ckpt", ".ftz", ".gguf", ".gz", ".h5", ".joblib", ".mlmodel", ".model",
    ".msgpack", ".npy", ".npz", ".onnx", ".ot", ".parquet", ".pb", ".pickle", ".pkl", ".pt", ".pth", ".rar",
    ".safetensors", ".tar", ".tflite", ".tgz", ".wasm", ".xz", ".zip", ".zst",
)
# fmt: on


def export_hf_cache(
    version: ModelVersion,
    blobs: BlobStore,
    cache_dir: Path,
    repo_id: str,
    refs: Iterable[str] = ("main",),
    *,
    link: Link = "copy",
    heard: Heard = unheard,
) -> Path:
    """Write a version into a Hugging Face cache and return its snapshot's folder; repeating it repairs.

    1. Every blob is written whole under its etag.
    2. A new snapshot, relative links only, appears in one step.
    3. The refs, which clients start from, are written last.

    Args:
        version: a PASSED one. Its commit is the Hub's own where it came from there, else derived from the manifest.
        blobs: the store of its content.
        cache_dir: the folder that clients name in `HF_HUB_CACHE` or `cache_dir`.
        repo_id: the name that clients load, `org/name` or `name`.
        refs: the branches and tags that lead to it.
        link: how blobs are placed; `symlink` leaves the store's path in the cache.
        heard: called with the bytes put in place.

    Raises:
        RegistryError: it is not PASSED, the repository name is invalid, or the file system refuses.
        IntegrityError: a blob in the store is damaged.
    """
    require_passed(version)
    storage = storage_folder(version.manifest, cache_dir, repo_id)
    commit = commit_of(version.manifest)
    with placing_errors(storage), locked(storage):
        etags = _etags(version.manifest, blobs)
        for entry in version.manifest.files:
            _place_blob(blobs, entry, storage / "blobs" / etags[entry.path], link, heard)
        snapshot = storage / "snapshots" / commit
        _link_snapshot(storage, snapshot, etags)
        for ref in refs:
            path = storage / "refs" / safe_path(ref)
            path.parent.mkdir(parents=True, exist_ok=True)
            whole_files.write(path, commit, mode=0o644, durable=True)
    return snapshot


def storage_folder(manifest: Manifest, cache_dir: Path, repo_id: str) -> Path:
    """Return the folder of a repository in a cache.

    Raises:
        RegistryError: the Hub's clients would refuse the name.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise RegistryError(
            f"{repo_id!r} is not a repository name of the Hugging Face Hub.",
            "Name one such as org/name with --repo.",
            repo_id=repo_id,
        ) from error
    return cache_dir / "--".join([manifest.ref.record.hub_folder or "models", *repo_id.split("/")])


def commit_of(manifest: Manifest) -> str:
    """Return the commit of a manifest: the Hub's own, else the first 40 digits of the manifest's digest."""
    from_hub = manifest.ref.record.hub_folder and _COMMIT.fullmatch(manifest.ref.revision)
    return manifest.ref.revision if from_hub else manifest.digest.hex[:40]


def remove_snapshot(storage: Path, commit: str) -> None:
    """Remove a snapshot, the refs that lead to it and the blobs that no other snapshot needs."""
    for ref in sorted((storage / "refs").rglob("*")):
        if ref.is_file() and ref.read_text(encoding="utf-8").strip() == commit:
            ref.unlink()
    snapshot, staging = storage / "snapshots" / commit, storage / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    if snapshot.exists():
        os.rename(snapshot, staging)
        shutil.rmtree(staging)
    needed = {Path(os.readlink(path)).name for path in (storage / "snapshots").rglob("*") if path.is_symlink()}
    for blob in (storage / "blobs").glob("*"):
        if blob.name not in needed:
            blob.unlink()


def _etags(manifest: Manifest, blobs: BlobStore) -> dict[str, str]:
    patterns = _lfs_patterns(manifest, blobs)
    return {entry.path: _etag(entry, blobs, patterns) for entry in manifest.files}


def _etag(entry: FileEntry, blobs: BlobStore, patterns: list[tuple[str, bool]] | None) -> str:
    digest = content(entry)
    if (entry.size or 0) > MAX_REGULAR_SIZE or _in_lfs(entry.path, patterns):
        return digest.hex
    hasher = Hasher(("git-sha1",), entry.size)
    with blobs.open(digest) as file:
        hasher.update(file.read())
    return hasher.digests["git-sha1"].hex


def _lfs_patterns(manifest: Manifest, blobs: BlobStore) -> list[tuple[str, bool]] | None:
    """Return the repository's own patterns and whether each means LFS, or None where it has none."""
    entry = manifest.by_path.get(".gitattributes")
    if entry is None or (entry.size or 0) > _MAX_ATTRIBUTES_SIZE:
        return None
    with blobs.open(content(entry)) as file:
        lines = [line.split() for line in file.read().decode(errors="replace").splitlines()]
    return [
        (words[0], "filter=lfs" in words[1:])
        for words in lines
        if len(words) > 1
        and not words[0].startswith("#")
        and any(word.lstrip("-!").startswith("filter") for word in words)
    ]


def _in_lfs(path: str, patterns: list[tuple[str, bool]] | None) -> bool:
    if patterns is None:
        return path.lower().endswith(_LFS_SUFFIXES)
    answer = False
    for pattern, lfs in patterns:
        subject = path if "/" in pattern else path.rsplit("/", 1)[-1]
        if fnmatch.fnmatchcase(subject, pattern.lstrip("/")):
            answer = lfs
    return answer


def _place_blob(blobs: BlobStore, entry: FileEntry, target: Path, link: Link, heard: Heard) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    there = FileEntry(target.name, entry.size, entry.digest)
    if holds(target.parent, there, blobs):
        heard(entry.size or 0)
        return
    arriving = target.with_name(f".{target.name}.partial")
    arriving.unlink(missing_ok=True)
    place_file(blobs, entry, arriving, link, heard)
    os.replace(arriving, target)


def _link_snapshot(storage: Path, snapshot: Path, etags: dict[str, str]) -> None:
    staging = storage / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    folder = snapshot if snapshot.is_dir() else staging
    for path, etag in etags.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        aim = "../" * (path.count("/") + 2) + f"blobs/{etag}"
        if target.is_symlink() and os.readlink(target) == aim:
            continue
        # The stage is outside of the model's own folder, where a file may have any name.
        whole_files.replace_link(target, aim, storage / ".arriving")
    if folder is staging:
        staging.mkdir(exist_ok=True)
        snapshot.parent.mkdir(exist_ok=True)
        os.rename(staging, snapshot)
