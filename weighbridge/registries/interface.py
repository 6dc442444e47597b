"""The interface of a registry, a place from which people load what passed. The adapters are beside this file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.store.interface import BlobStore

#: Called right before a version becomes visible; where it raises, nothing becomes visible.
Allow = Callable[[], None]


def always() -> None:
    """Allow every publication."""


@dataclass(frozen=True)
class Holding:
    """One version in a registry's own list.

    Attributes:
        name: the model's name; the registry's own name for it where it does not know ours.
        version: the number, or empty where the registry has none.
        manifest: the manifest digest as text, or empty.
        location: the registry's own name of the place.
    """

    name: str
    version: str
    manifest: str
    location: str


class Registry(Protocol):
    """A place that a version is published to; its methods raise `RegistryError` and its kinds only."""

    name: ClassVar[str]

    @property
    def address(self) -> str:
        """Return its address, without credentials; equal addresses mean the same registry."""
        ...

    def prepare(self) -> None:
        """Do the work that needs no version, such as loading a client; it may be repeated."""
        ...

    def publish(
        self, version: ModelVersion, blobs: BlobStore, allow: Allow = always, heard: Heard = unheard
    ) -> Publication:
        """Make a version visible whole, or not at all; repeating it returns the same publication.

        Only `PASSED` versions are published; `version.default` decides whether it becomes the default version. Every
        file is hashed while it is copied.

        Args:
            version: the version to publish.
            blobs: the store of its content.
            allow: called when every file is in place, right before the version becomes visible.
            heard: called with the bytes put in place.

        Raises:
            RegistryError: it is not `PASSED`, or the registry refuses.
            RegistryUnavailable: the registry cannot be reached; try again later.
            IntegrityError: a blob is damaged.
        """
        ...

    def holds(self, version: ModelVersion, blobs: BlobStore) -> bool:
        """Return whether a version is published unchanged: with its digest, whole files, and the right default.

        Local files are compared as in `folder_writer.seems_whole`, those of a server by their sizes.
        """
        ...

    def damaged(self, version: ModelVersion, blobs: BlobStore) -> list[str]:
        """Return the paths of a version that differ, are missing or not in the manifest; reads every byte."""
        ...

    def withdraw(self, name: str, version: str, reason: str) -> None:
        """Make a version invisible to clients that load by name; the reason stays readable. It may be repeated."""
        ...

    def listing(self) -> Iterator[Holding]:
        """Yield every version that the registry serves, also those of other publishers."""
        ...
