"""Export: a version as files in a folder, plain or as a Hugging Face cache; once, or as a registry of many.

Layout of the plain registry: `<folder>/<name>/<version>/…` holds the model's files and nothing else, `default` beside
the versions links to the default one, `weighbridge.json` is the index. The other layout is hfcache's.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal

from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.errors import RegistryError
from weighbridge.registries.export_index import read_index, write_index
from weighbridge.registries.folder_writer import (
    Link,
    files_below,
    holds,
    locked,
    place_all,
    placing_errors,
    require_passed,
    staged,
)
from weighbridge.registries.hfcache import commit_of, export_hf_cache, remove_snapshot, storage_folder
from weighbridge.registries.load_lines import load_line
from weighbridge.registries.naming import checked_version, registered_name
from weighbridge.store.interface import BlobStore

__all__ = ["ExportRegistry", "export_folder", "export_hf_cache"]

Layout = Literal["plain", "hf-cache"]


def export_folder(version: ModelVersion, blobs: BlobStore, target: Path, *, link: Link = "copy") -> Path:
    """Write a version's files into a new folder, which appears whole or not at all, and return it.

    A folder that holds exactly these files, byte for byte, is left as it is.

    Args:
        version: a PASSED one.
        blobs: where its content lies.
        target: a folder that is missing or empty.
        link: `copy` proves every byte; `hardlink` and `symlink` give the store's own, which must not be changed.

    Raises:
        RegistryError: not PASSED, something else stands at the target, or the file system refused.
        IntegrityError: a blob in the store is damaged.
    """
    require_passed(version)
    target = target.absolute()
    with placing_errors(target):
        if _same(version, blobs, target):
            return target
        if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
            raise RegistryError(
                f"{target} is not empty and is not this version.",
                "Name a folder that does not exist yet; nothing was changed.",
                path=str(target),
            )
        with staged(target) as folder:
            place_all(blobs, version.manifest, folder, link)
    return target


class ExportRegistry:
    """A registry in a folder, for machines that share a file system; satisfies `Registry`.

    Args:
        folder: where models are given out.
        layout: `plain`, or `hf-cache` for clients of the Hugging Face Hub.
        link: how files get there; a hard link, where possible, needs no space.
    """

    name: ClassVar[str] = "export"

    def __init__(self, folder: Path, layout: Layout = "plain", link: Link = "hardlink") -> None:
        self._folder, self._layout, self._link = folder.absolute(), layout, link

    def prepare(self) -> None:
        """Nothing takes long here."""

    def publish(self, version: ModelVersion, blobs: BlobStore) -> Publication:
        """Give a version out under its name; again is harmless and repairs. Raises RegistryError, IntegrityError."""
        require_passed(version)
        checked_version(version.version)
        return self._publish_plain(version, blobs) if self._layout == "plain" else self._publish_hf(version, blobs)

    def withdraw(self, name: str, version: str, reason: str) -> None:
        """Remove a version's files; the reason stands in the index. What is not there is no error."""
        for home in self._homes(name):
            if home.is_dir():
                with placing_errors(home), locked(home):
                    self._withdraw_from(home, name, version, reason)

    def _withdraw_from(self, home: Path, name: str, version: str, reason: str) -> None:
        versions = read_index(home, name)
        entry = versions.get(version)
        if entry is None:
            return
        # First the word, then the deed: a process killed in between leaves a version that is known to be withdrawn.
        write_index(home, name, versions | {version: entry | {"withdrawn": reason}})
        if self._layout == "plain":
            _remove_plain(home, version)
        else:
            remove_snapshot(home, entry["commit"])

    def _homes(self, name: str) -> tuple[Path, ...]:
        if self._layout == "plain":
            return (self._folder / registered_name(name),)
        return tuple(self._folder / "--".join([kind, *name.split("/")]) for kind in ("models", "datasets"))

    def _publish_plain(self, version: ModelVersion, blobs: BlobStore) -> Publication:
        (home,) = self._homes(version.name)
        target = home / version.version
        with placing_errors(home), locked(home):
            versions = read_index(home, version.name)
            if not _same(version, blobs, target):
                with staged(target) as folder:
                    place_all(blobs, version.manifest, folder, self._link)
            entry = {"manifest": str(version.manifest.digest), "source": version.source}
            write_index(home, version.name, versions | {version.version: entry})
            _point_default(home, version)
        return Publication(self.name, str(target), (f"path = {str(target)!r}", load_line(version)))

    def _publish_hf(self, version: ModelVersion, blobs: BlobStore) -> Publication:
        home = storage_folder(version.manifest, self._folder, version.name)
        refs = (version.version, "main") if version.default else (version.version,)
        with placing_errors(home), locked(home):
            versions = read_index(home, version.name)
            entry = {"manifest": str(version.manifest.digest), "source": version.source}
            entry |= {"commit": commit_of(version.manifest)}
            write_index(home, version.name, versions | {version.version: entry})
        export_hf_cache(version, blobs, self._folder, version.name, refs, link=self._link)
        load = (
            f"import os; os.environ.update(HF_HUB_CACHE={str(self._folder)!r}, HF_HUB_OFFLINE='1')",
            f"from huggingface_hub import snapshot_download; "
            f"path = snapshot_download({version.name!r}, revision={version.version!r})",
            load_line(version),
        )
        return Publication(self.name, f"{version.name}@{version.version} in {self._folder}", load)


def _remove_plain(home: Path, version: str) -> None:
    default = home / "default"
    if default.is_symlink() and os.readlink(default) == version:
        default.unlink()
    if (home / version).exists():
        # An empty folder takes its place in one step, so that nobody reads half a model.
        with staged(home / version):
            pass
        shutil.rmtree(home / version)


def _same(version: ModelVersion, blobs: BlobStore, folder: Path) -> bool:
    return (
        folder.is_dir()
        and not folder.is_symlink()
        and files_below(folder) == set(version.manifest.by_path)
        and all(holds(folder, entry, blobs) for entry in version.manifest.files)
    )


def _point_default(home: Path, version: ModelVersion) -> None:
    default = home / "default"
    leads_here = default.is_symlink() and os.readlink(default) == version.version
    if version.default and not leads_here:
        arriving = home / ".default.arriving"
        with suppress(FileNotFoundError):
            arriving.unlink()
        arriving.symlink_to(version.version)
        os.replace(arriving, default)
    elif leads_here and not version.default:
        default.unlink()
