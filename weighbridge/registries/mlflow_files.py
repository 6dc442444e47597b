"""The files of an MLflow run: in a folder of the embedded registry, or on a server.

A visible version has exactly the manifest's files. Not here: which run belongs to which version (registries.mlflow).
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.progress import Heard, unheard
from weighbridge.errors import RegistryError
from weighbridge.registries.folder_writer import (
    Link,
    content,
    files_below,
    holds,
    place_all,
    seems_whole,
    staged,
)
from weighbridge.registries.mlflow_session import Server, load_mlflow
from weighbridge.store.interface import BlobStore

#: The folder of the model among a run's artifacts.
FOLDER = "model"
#: MLflow writes it beside an `MLmodel` file into a download, also where that is the registry's own folder.
_META = "registered_model_meta"
#: Characters of file names that MLflow's clients put into URLs without escaping them.
_UNSERVABLE = frozenset("%#?")


class ModelFiles:
    """The files of runs.

    Args:
        server: the server of the runs.
        artifact_root: the folder of an embedded registry's files; None for a server.
        link: how the files are placed there.
    """

    def __init__(self, server: Server, artifact_root: Path | None, link: Link) -> None:
        self._server, self._artifact_root, self._link = server, artifact_root, link

    def put(self, run: Any, manifest: Manifest, blobs: BlobStore, heard: Heard = unheard) -> None:
        """Make the files of a run exactly those of a manifest; whole files are left alone.

        `heard` is called with the bytes that were placed; with a server, for each file that it has whole.

        Raises:
            RegistryError: the server does not keep them as they are.
            IntegrityError: a blob is damaged.
        """
        if self._artifact_root is not None:
            folder = self._folder(run)
            if not _same_names(folder, manifest) or not all(holds(folder, entry, blobs) for entry in manifest.files):
                with staged(folder) as staging:
                    place_all(blobs, manifest, staging, self._link, heard)
                    _own_bytes(staging / _META)
            return
        refuse_unservable(manifest)
        repository = self._repository(run)
        here = sizes(repository, FOLDER)
        for path in here.keys() - {f"{FOLDER}/{name}" for name in manifest.by_path}:
            repository.delete_artifacts(path)
        absent = [entry for entry in manifest.files if here.get(f"{FOLDER}/{entry.path}") != entry.size]
        self._upload(repository, absent, blobs, heard)
        wrong = differing(sizes(repository, FOLDER), manifest) if absent else []
        if wrong:
            raise RegistryError(
                f"The MLflow server did not keep {wrong[0]} whole, and {len(wrong) - 1} other files.",
                "Check the server's disk and log, then run the same command again.",
                paths=wrong[:100],
            )

    def seem_whole(self, run: Any, manifest: Manifest, blobs: BlobStore) -> bool:
        """Return whether a run has exactly a manifest's files, compared as in `seems_whole`, or by a server's sizes."""
        if self._artifact_root is None:
            return not differing(sizes(self._repository(run), FOLDER), manifest)
        folder = self._folder(run)
        return _same_names(folder, manifest) and all(seems_whole(folder, entry, blobs) for entry in manifest.files)

    def damaged(self, run: Any, manifest: Manifest, blobs: BlobStore) -> list[str]:
        """Return the paths of a run that differ, are missing or not in the manifest; reads every byte."""
        if self._artifact_root is not None:
            folder = self._folder(run)
            extra = (files_below(folder) if folder.is_dir() else set()) - set(manifest.by_path) - {_META}
            return sorted(extra | {entry.path for entry in manifest.files if not holds(folder, entry, blobs)})
        repository = self._repository(run)
        wrong = set(differing(sizes(repository, FOLDER), manifest))
        with tempfile.TemporaryDirectory(prefix="weighbridge-") as folder_name:
            for entry in manifest.files:
                if entry.path not in wrong and not _downloads(repository, entry, Path(folder_name)):
                    wrong.add(entry.path)
        return sorted(wrong)

    def remove(self, run: Any) -> None:
        """Remove the files of a run; in the embedded registry in one step."""
        if self._artifact_root is not None:
            folder = self._folder(run)
            if folder.exists():
                with staged(folder):
                    pass
                shutil.rmtree(folder)
            return
        repository = self._repository(run)
        if sizes(repository, FOLDER):
            repository.delete_artifacts(FOLDER)

    def _repository(self, run: Any) -> Any:
        # MlflowClient would send four times as many requests, each with a password to hash.
        repositories = load_mlflow().store.artifact.artifact_repository_registry
        found = repositories.get_artifact_repository(run.info.artifact_uri, tracking_uri=self._server.uri)
        found.thread_pool = self._server.threads()
        return found

    def _folder(self, run: Any) -> Path:
        folder = Path(unquote(urlsplit(run.info.artifact_uri).path))
        assert self._artifact_root is not None
        if not folder.is_relative_to(self._artifact_root):
            raise RegistryError(
                f"The embedded MLflow registry was created for files in {folder.parent.parent}.",
                f"Move it back there, or remove {self._artifact_root.parent} and ingest the models again.",
            )
        return folder / FOLDER

    def _upload(self, repository: Any, entries: list[FileEntry], blobs: BlobStore, heard: Heard) -> None:
        # MLflow names a file after the path it reads, so a folder of links gives every blob its name for the upload.
        with tempfile.TemporaryDirectory(prefix="weighbridge-") as folder:
            for position, entry in enumerate(entries):
                parent, _, last = entry.path.rpartition("/")
                link = Path(folder) / str(position) / last
                link.parent.mkdir()
                blobs.prove(content(entry))
                link.symlink_to(blobs.path(content(entry)).absolute())
                repository.log_artifact(str(link), f"{FOLDER}/{parent}" if parent else FOLDER)
                heard(entry.size or 0)


def sizes(repository: Any, folder: str) -> dict[str, int]:
    """Return the size of every file below a folder of a server's artifacts, by path."""
    found: dict[str, int] = {}
    for item in repository.list_artifacts(folder):
        if item.is_dir:
            found |= sizes(repository, item.path)
        else:
            found[item.path] = item.file_size or 0  # MLflow omits a size of zero.
    return found


def differing(here: dict[str, int], manifest: Manifest) -> list[str]:
    """Return the sorted paths that a server lacks, has with another size, or has in addition to the manifest's."""
    wanted = {f"{FOLDER}/{entry.path}": entry.size for entry in manifest.files}
    wrong = {path for path in here.keys() | wanted.keys() if here.get(path) != wanted.get(path)}
    return sorted(path.removeprefix(f"{FOLDER}/") for path in wrong)


def refuse_unservable(manifest: Manifest) -> None:
    """Raise RegistryError for file names that MLflow's clients can upload but not download from a server.

    Raises:
        RegistryError: a name holds `%`, `#` or `?`.
    """
    for entry in manifest.files:
        if _UNSERVABLE & set(entry.path):
            raise RegistryError(
                f"MLflow's clients cannot download a file called {entry.path!r} from a server.",
                "Use the embedded registry or an export for this model, or leave the file out with ?files=.",
                path=entry.path,
            )


def _same_names(folder: Path, manifest: Manifest) -> bool:
    there = files_below(folder) - {_META} if folder.is_dir() else set()
    return there == set(manifest.by_path) - {_META}


def _own_bytes(path: Path) -> None:
    """Replace a link to a blob by a copy, as MLflow's own download writes to a file of this name."""
    if path.is_file():
        with open(path, "rb") as blob:
            path.unlink()
            with open(path, "xb") as copy:
                shutil.copyfileobj(blob, copy)


def _downloads(repository: Any, entry: FileEntry, folder: Path) -> bool:
    """Return whether a server serves a file byte for byte."""
    copy = Path(repository.download_artifacts(f"{FOLDER}/{entry.path}", str(folder)))
    with open(copy, "rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == content(entry).hex
    copy.unlink()
    return same
