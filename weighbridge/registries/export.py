"""Export: a version as files in a folder, plain or as a Hugging Face cache; once, or as a registry of many.

Layout of the plain registry: `<folder>/<name>/<version>/…` has the model's files and nothing else, `default` beside
the versions links to the default one, `weighbridge.json` is the index. The other layout is hfcache's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.errors import RegistryError
from weighbridge.registries import folder_writer
from weighbridge.registries.export_index import FILE_NAME, index_owner, read_index, write_index
from weighbridge.registries.folder_writer import (
    Link,
    files_below,
    holds,
    locked,
    place_all,
    placing_errors,
    require_passed,
    seems_whole,
    staged,
)
from weighbridge.registries.hfcache import commit_of, export_hf_cache, remove_snapshot, storage_folder
from weighbridge.registries.interface import Allow, Holding, always
from weighbridge.registries.load_lines import load_line
from weighbridge.registries.naming import checked_version, registered_name
from weighbridge.store.interface import BlobStore
from weighbridge.system import whole_files

__all__ = ["ExportRegistry", "export_folder", "export_hf_cache"]

Layout = Literal["plain", "hf-cache"]


def export_folder(
    version: ModelVersion, blobs: BlobStore, target: Path, *, link: Link = "copy", heard: Heard = unheard
) -> Path:
    """Write a version's files into a new folder, which appears whole or not at all, and return its publication.

    A folder with exactly these files, byte for byte, is left as it is.

    Args:
        version: a PASSED one.
        blobs: the store of its content.
        target: a folder that is missing or empty.
        link: how files are placed; `hardlink` and `symlink` lead to the store's own, which must not be changed.
        heard: called with the bytes put in place.

    Raises:
        RegistryError: it is not PASSED, the target holds something else, or the file system refuses.
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
            place_all(blobs, version.manifest, folder, link, heard)
    return target


class ExportRegistry:
    """A registry in a folder, for machines that share a file system; satisfies `Registry`.

    Args:
        folder: the folder of the models.
        layout: `plain`, or `hf-cache` for clients of the Hugging Face Hub.
        link: how files are placed there.
    """

    name: ClassVar[str] = "export"

    def __init__(self, folder: Path, layout: Layout = "plain", link: Link = "readonly") -> None:
        self._folder, self._layout, self._link = folder.absolute(), layout, link

    @property
    def address(self) -> str:
        """Return the folder."""
        return str(self._folder)

    def prepare(self) -> None:
        """Do nothing: no preparation is needed."""

    def publish(
        self, version: ModelVersion, blobs: BlobStore, allow: Allow = always, heard: Heard = unheard
    ) -> Publication:
        """Publish a version under its name; repeating it repairs. Raises RegistryError, IntegrityError."""
        require_passed(version)
        checked_version(version.version)
        publish = self._publish_plain if self._layout == "plain" else self._publish_hf
        return publish(version, blobs, allow, heard)

    def holds(self, version: ModelVersion, blobs: BlobStore) -> bool:
        """Return whether a version is published unchanged; see `Registry.holds`."""
        home = self._homes(version.name)[0] if self._layout == "plain" else self._hf_home(version)
        entry = read_index(home, version.name).get(version.version, {})
        if entry.get("manifest") != str(version.manifest.digest) or "withdrawn" in entry:
            return False
        folder = self._given_out(home, version)
        whole = (
            folder.is_dir()
            and files_below(folder) == set(version.manifest.by_path)
            and all(seems_whole(folder, file, blobs) for file in version.manifest.files)
        )
        return whole and (self._layout != "plain" or _leads_to(home, version.version) == version.default)

    def damaged(self, version: ModelVersion, blobs: BlobStore) -> list[str]:
        """Return the files of a version that differ in this registry; see `Registry.damaged`."""
        home = self._homes(version.name)[0] if self._layout == "plain" else self._hf_home(version)
        folder = self._given_out(home, version)
        extra = (files_below(folder) if folder.is_dir() else set()) - set(version.manifest.by_path)
        return sorted(extra | {one.path for one in version.manifest.files if not holds(folder, one, blobs)})

    def _hf_home(self, version: ModelVersion) -> Path:
        return storage_folder(version.manifest, self._folder, version.name)

    def _given_out(self, home: Path, version: ModelVersion) -> Path:
        return home / version.version if self._layout == "plain" else home / "snapshots" / commit_of(version.manifest)

    def listing(self) -> Iterator[Holding]:
        """Yield every version in the indexes of the models, and every folder of a version that is in no index."""
        for index in sorted(self._folder.glob(f"*/{FILE_NAME}")):
            home, name = index.parent, index_owner(index)
            for version, entry in read_index(home, name).items():
                if "withdrawn" not in entry:
                    yield Holding(name, version, entry["manifest"], str(home / version))
        if self._layout == "plain":
            yield from self._unknown()

    def _unknown(self) -> Iterator[Holding]:
        for folder in sorted(self._folder.glob("*/[0-9]*")):
            index = folder.parent / FILE_NAME
            name = index_owner(index) if index.exists() else folder.parent.name
            if folder.is_dir() and "withdrawn" in read_index(folder.parent, name).get(folder.name, {"withdrawn": ""}):
                yield Holding(name, folder.name, "", str(folder))

    def withdraw(self, name: str, version: str, reason: str) -> None:
        """Remove a version's files and write the reason to the index. A missing version is not an error."""
        for home in self._homes(name):
            if home.is_dir():
                with placing_errors(home), locked(home, folder_writer.WITHDRAWAL_PATIENCE_S):
                    self._withdraw_from(home, name, version, reason)

    def _withdraw_from(self, home: Path, name: str, version: str, reason: str) -> None:
        versions = read_index(home, name)
        entry = versions.get(version)
        if entry is None:
            return
        # The index is written first: a process killed in between leaves a version that is already marked as withdrawn.
        write_index(home, name, versions | {version: entry | {"withdrawn": reason}})
        if self._layout == "plain":
            _remove_plain(home, version)
        else:
            remove_snapshot(home, entry["commit"])

    def _homes(self, name: str) -> tuple[Path, ...]:
        if self._layout == "plain":
            return (self._folder / registered_name(name),)
        return tuple(self._folder / "--".join([kind, *name.split("/")]) for kind in ("models", "datasets"))

    def _publish_plain(self, version: ModelVersion, blobs: BlobStore, allow: Allow, heard: Heard) -> Publication:
        (home,) = self._homes(version.name)
        target = home / version.version
        with placing_errors(home), locked(home):
            versions = read_index(home, version.name)
            if not _same(version, blobs, target):
                with staged(target) as folder:
                    place_all(blobs, version.manifest, folder, self._link, heard)
                    allow()
            else:
                allow()
            entry = {"manifest": str(version.manifest.digest), "source": version.source}
            write_index(home, version.name, versions | {version.version: entry})
            _point_default(home, version)
        load = (f"path = {str(target)!r}", load_line(version))
        return Publication(self.name, str(target), load, self.address)

    def _publish_hf(self, version: ModelVersion, blobs: BlobStore, allow: Allow, heard: Heard) -> Publication:
        home = self._hf_home(version)
        refs = (version.version, "main") if version.default else (version.version,)
        allow()
        with placing_errors(home), locked(home):
            versions = read_index(home, version.name)
            entry = {"manifest": str(version.manifest.digest), "source": version.source}
            entry |= {"commit": commit_of(version.manifest)}
            write_index(home, version.name, versions | {version.version: entry})
        export_hf_cache(version, blobs, self._folder, version.name, refs, link=self._link, heard=heard)
        load = (
            f"import os; os.environ.update(HF_HUB_CACHE={str(self._folder)!r}, HF_HUB_OFFLINE='1')",
            f"from huggingface_hub import snapshot_download; "
            f"path = snapshot_download({version.name!r}, revision={version.version!r})",
            load_line(version),
        )
        return Publication(self.name, f"{version.name}@{version.version} in {self._folder}", load, self.address)


def _remove_plain(home: Path, version: str) -> None:
    if _leads_to(home, version):
        (home / "default").unlink()
    if (home / version).exists():
        # An empty folder replaces it in one step, so that no reader sees half a model.
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


def _leads_to(home: Path, version: str) -> bool:
    default = home / "default"
    return default.is_symlink() and os.readlink(default) == version


def _point_default(home: Path, version: ModelVersion) -> None:
    default, leads_here = home / "default", _leads_to(home, version.version)
    if version.default and not leads_here:
        whole_files.replace_link(default, version.version, home / ".default.arriving")
    elif leads_here and not version.default:
        default.unlink()
