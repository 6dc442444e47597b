"""The sources models come from: one adapter a file, one line here. Also the public API for sources of other packages.

An adapter is imported when its first source is made, so that no command waits for a library that it does not use.
`__all__` is the public API: its names stay where they are, wherever they are defined. The tests that a source has to
pass are `weighbridge.sources.contract`, apart because they import pytest (docs/sources.md, "A source of your own").
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from weighbridge.domain import source_kinds
from weighbridge.domain.digest import Digest, Hasher
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.uris import SCHEMES
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    IntegrityError,
    InvalidConfiguration,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    UnsafePath,
)
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.sources.installed import InstalledSource
from weighbridge.sources.interface import Source, SourceConstructor, refuse_oversize, refuse_unknown_options

if TYPE_CHECKING:
    from weighbridge.net.transfer import Transfer

__all__ = [
    "SOURCES",
    "AccessDenied",
    "AddressRefused",
    "Auth",
    "ByteStream",
    "Digest",
    "FileEntry",
    "Hasher",
    "IntegrityError",
    "InvalidConfiguration",
    "InvalidReference",
    "Manifest",
    "ModelNotFound",
    "ModelRef",
    "Source",
    "SourceError",
    "SourceMisbehaved",
    "SourceSettings",
    "SourceUnavailable",
    "Transfer",
    "UnsafePath",
    "open_source",
    "refuse_oversize",
    "refuse_unknown_options",
    "safe_path",
]


def __getattr__(name: str) -> Any:
    """Import `Transfer` when a source first asks for it: it brings an HTTP client that `list` does not need."""
    if name == "Transfer":
        return importlib.import_module("weighbridge.net.transfer").Transfer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _adapter(module: str, name: str) -> SourceConstructor:
    def create(settings: SourceSettings) -> Source:
        source: Source = getattr(importlib.import_module(f"weighbridge.sources.{module}"), name)(settings)
        return source

    return create


#: Source kind (`ModelRef.kind`) to what makes its adapter.
SOURCES: dict[str, SourceConstructor] = {
    "file": _adapter("file", "FileSource"),
    "git-lfs": _adapter("git_lfs", "GitLFSSource"),
    "git-xet": _adapter("huggingface", "GitXetSource"),
    "huggingface": _adapter("huggingface", "HuggingFaceSource"),
    "huggingface-dataset": _adapter("huggingface", "HuggingFaceDatasetSource"),
    "mlflow": _adapter("mlflow", "MLflowSource"),
    "mock": _adapter("mock", "MockSource"),
    "ollama": _adapter("ollama", "OllamaSource"),
    "pypi": _adapter("pypi", "PypiSource"),
    "s3": _adapter("s3", "S3Source"),
    "url": _adapter("url", "UrlSource"),
}


def open_source(kind: str, settings: SourceSettings) -> Source:
    """Return a source of ours, or of an installed package (plugins).

    Raises:
        InvalidConfiguration: there is none of that kind, the package that brings it is broken, or one claims a name
            of ours.
        SourceMisbehaved: a package's source fails when it is made.
    """
    if kind in SOURCES:
        source_kinds.refuse_taken({kind, *(scheme for scheme, known in SCHEMES.items() if known == kind)})
        return SOURCES[kind](settings)
    if not source_kinds.kind_of(kind):
        known = ", ".join((*SOURCES, *source_kinds.installed()))
        raise InvalidConfiguration(f"There is no source “{kind}”.", f"Known ones: {known}.", source=kind)
    package = source_kinds.package_of(source_kinds.entry_of(kind))
    return InstalledSource.of(kind, package, source_kinds.load(kind), settings)
