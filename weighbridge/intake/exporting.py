"""Exporting: a version that passed, written to a folder or into a Hugging Face cache.

Not here: how files are written (registries.export, registries.hfcache).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from weighbridge.domain.progress import Progress
from weighbridge.domain.version import ModelVersion
from weighbridge.registries.export import export_folder
from weighbridge.registries.hfcache import export_hf_cache
from weighbridge.store.interface import BlobStore

Layout = Literal["plain", "huggingface"]


@dataclass(frozen=True)
class ExportRequest:
    """The folder and layout for writing a version; plain values.

    Attributes:
        target: the folder; for the layout `huggingface` the cache.
        layout: `plain`, or as huggingface_hub lays out its cache.
        repo: the repository's name in the cache; the model's own when empty.
    """

    target: str
    layout: Layout = "plain"
    repo: str = ""


def export(request: ExportRequest, version: ModelVersion, blobs: BlobStore, progress: Progress) -> Path:
    """Write a version and return the folder that it is in.

    Raises:
        RegistryError: it did not pass, or the folder cannot be written.
        IntegrityError: a blob is damaged; nothing of it is given out.
    """
    progress.expect("export", version.manifest.size)
    heard, target = partial(progress.advance, "export"), Path(request.target)
    if request.layout == "plain":
        return export_folder(version, blobs, target, heard=heard)
    return export_hf_cache(version, blobs, target, request.repo or version.name, heard=heard)
