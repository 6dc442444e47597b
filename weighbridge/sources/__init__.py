"""The sources models come from: one adapter a file. Also the public API for sources of other packages.

The record of a kind (weighbridge.domain.source_kinds) names its adapter, which is imported when its first source is
made, so that no command waits for a library that it does not use.
`__all__` is the public API: its names stay where they are, wherever they are defined. The tests that a source has to
pass are `weighbridge.sources.contract`, apart because they import pytest (docs/sources.md, "A source of your own").
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from weighbridge.domain.digest import Digest, Hasher
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import KINDS, plugins
from weighbridge.domain.source_kinds.record import SourceKind
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
    "import_source",
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


def _adapter(record: SourceKind) -> SourceConstructor:
    def create(settings: SourceSettings) -> Source:
        module, _, name = record.adapter.partition(":")
        source: Source = getattr(importlib.import_module(module), name)(settings)
        return source

    return create


#: The maker of the adapter of each source kind (`ModelRef.kind`).
SOURCES: dict[str, SourceConstructor] = {name: _adapter(KINDS[name]) for name in sorted(KINDS)}


def import_source(kind: str) -> None:
    """Import the adapter of a kind, before threads start that would each import it.

    Raises:
        InvalidConfiguration: the package that brings it is broken, or there are two.
    """
    if record := KINDS.get(kind):
        importlib.import_module(record.adapter.partition(":")[0])
    elif plugins.kind_of(kind):
        plugins.load(kind)


def open_source(kind: str, settings: SourceSettings) -> Source:
    """Return a source of ours, or of an installed package.

    Raises:
        InvalidConfiguration: there is none of that kind, the package that brings it is broken, or one claims a name
            of ours.
        SourceMisbehaved: a package's source fails when it is made.
    """
    if record := KINDS.get(kind):
        plugins.refuse_taken({kind, *record.schemes})
        return _adapter(record)(settings)
    if not plugins.kind_of(kind):
        known = ", ".join((*sorted(KINDS), *plugins.installed()))
        raise InvalidConfiguration(f"There is no source “{kind}”.", f"Known ones: {known}.", source=kind)
    package = plugins.package_of(plugins.entry_of(kind))
    return InstalledSource.of(kind, package, plugins.load(kind), settings)
