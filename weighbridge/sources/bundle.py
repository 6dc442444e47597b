"""The source `bundle`: versions of a bundle whose files are in the store already, as `bundle import` makes them.

A reference to one only says where a version came from: by itself it leads to no file, since the bundle may be gone.
Not here: reading bundles (content.bundles), and importing them (intake.unbundling).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, NoReturn

from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import ModelNotFound
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.sources.interface import refuse_oversize


class BundleSource:
    """The versions of a bundle that is being imported; of none, without one.

    Args:
        settings: the limits of a model.
        manifests: of the versions, each with the reference that it gets here.
    """

    kind: ClassVar[str] = "bundle"

    def __init__(self, settings: SourceSettings, manifests: tuple[Manifest, ...] = ()) -> None:
        self._settings, self._manifests = settings, {manifest.ref: manifest for manifest in manifests}

    def resolve(self, ref: ModelRef) -> Manifest:
        """Return the manifest of a version.

        Raises:
            ModelNotFound: no bundle that is being imported has it.
        """
        if ref not in self._manifests:
            _refuse(ref)
        return refuse_oversize(self._manifests[ref], self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Raise ModelNotFound: the files of a bundle were in the store, and this one is not there any more."""
        _refuse(ref)
        yield ByteStream(0, iter(()), 0)


def _refuse(ref: ModelRef) -> NoReturn:
    raise ModelNotFound(
        f"{ref.uri} came in a bundle, which cannot be asked for its files again.",
        "Import the bundle: weighbridge bundle import FILE",
        uri=ref.uri,
    )
