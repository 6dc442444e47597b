"""Preloading: chosen models of models.yaml, passed by the gate, put into a Hugging Face cache before they are needed.

Not here: the cache's layout (registries.hfcache) and the gate (intake.chain).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from weighbridge.catalog import Catalog
from weighbridge.config.models_file import ModelEntry, select
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.request import MODELS_FILE, IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import RegistryError
from weighbridge.intake.workspace import Workspace
from weighbridge.registries.hfcache import export_hf_cache
from weighbridge.store.interface import BlobStore


@dataclass(frozen=True)
class Preloaded:
    """A model in the cache: its name in the catalog, its version, the name to load it by, and its snapshot's folder."""

    name: str
    version: str
    repo_id: str
    path: Path

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {"name": self.name, "version": self.version, "repo_id": self.repo_id, "path": str(self.path)}


def cache_folder() -> Path:
    """Return the cache that Hugging Face's clients read: HF_HUB_CACHE, else HF_HOME/hub, else theirs.

    huggingface_hub.constants has the same value, but reads the environment only once; an empty variable does not count.
    """
    home = os.environ.get("HF_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    return Path(os.path.expandvars(Path(given).expanduser())).absolute()


@dataclass(frozen=True)
class PreloadRequest:
    """The models to put into the cache; plain values.

    Attributes:
        only: their names, separated by commas.
        models: the models file.
        download: whether missing models are taken in.
    """

    only: str
    models: str = MODELS_FILE
    download: bool = True


def preload(
    request: PreloadRequest, workspace: Workspace, ingest_one: Callable[[IngestRequest], ModelVersion]
) -> list[Preloaded]:
    """Put models into the cache that HF_HOME names, as `fill_cache` does.

    Args:
        request: the models.
        workspace: the workspace to use.
        ingest_one: takes a model in: directly, or as a flow of its own.

    Raises:
        InvalidConfiguration: no model is chosen, or the models file lacks one.
        RegistryError: some are missing and may not be downloaded, or did not pass.
    """
    entries = select(workspace.entries(request.models), request.only)

    def ingest(entry: ModelEntry) -> ModelVersion:
        return ingest_one(replace(entry.request(), models=request.models))

    wanted = ingest if request.download else None
    return fill_cache(entries, workspace.catalog, workspace.store, cache_folder(), wanted, workspace.progress)


def fill_cache(
    entries: Sequence[ModelEntry],
    catalog: Catalog,
    blobs: BlobStore,
    cache: Path,
    ingest: Callable[[ModelEntry], ModelVersion] | None,
    progress: Progress | None = None,
) -> list[Preloaded]:
    """Put models into a cache: all of them, or none when one did not pass.

    1. Models that run on another service are skipped.
    2. A model whose default version passed is used as it is; any other is first taken in, through the gate.
    3. Each is exported under the name that its users load it by.

    Args:
        entries: the chosen models.
        catalog: the catalog, which has the versions that passed.
        blobs: the store of their content.
        cache: the folder that `cache_folder` returns.
        progress: receives the number of bytes put into the cache.
        ingest: takes a model in; None where nothing may be downloaded (AUTO_DOWNLOAD_MODELS=0).

    Raises:
        RegistryError: some are missing and may not be downloaded, or did not pass.
    """
    wanted = [entry for entry in entries if not entry.skip_download]
    passed = {entry.key: _passed(catalog, entry) for entry in wanted}
    missing = [name for name, version in passed.items() if version is None]
    if missing and ingest is None:
        raise RegistryError(
            f"Not here, and AUTO_DOWNLOAD_MODELS is 0: {', '.join(missing)}.",
            f"Take them in first: MODELS={','.join(missing)} weighbridge preload.",
            missing=missing,
        )
    if ingest is not None:
        for entry in wanted:
            if passed[entry.key] is None:
                passed[entry.key] = ingest(entry)
    rejected = [name for name, version in passed.items() if version is None or version.status != "PASSED"]
    if rejected:
        raise RegistryError(
            f"Not passed by the gate: {', '.join(rejected)}.",
            "Nothing was put into the cache. `weighbridge show NAME` shows why.",
            rejected=rejected,
        )
    return [
        _export(entry, version, blobs, cache, progress or Silent())
        for entry in wanted
        if (version := passed[entry.key])
    ]


def _passed(catalog: Catalog, entry: ModelEntry) -> ModelVersion | None:
    version = catalog.get(entry.key)
    return version if version is not None and version.status == "PASSED" else None


def _export(entry: ModelEntry, version: ModelVersion, blobs: BlobStore, cache: Path, progress: Progress) -> Preloaded:
    repo_id = entry.hf_repo_id or entry.key
    progress.expect("export", version.manifest.size)
    progress.say("export", repo_id)
    path = export_hf_cache(version, blobs, cache, repo_id, link="copy", heard=partial(progress.advance, "export"))
    return Preloaded(entry.key, version.version, repo_id, path)
