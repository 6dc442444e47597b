"""What a registry is: a place from which people load what passed. Adapters lie beside this file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.store.interface import BlobStore

#: Asked right before a version becomes visible; it raises where that is no longer wanted, and nothing becomes visible.
Allow = Callable[[], None]


def always() -> None:
    """Allow a publication without asking anybody."""


@dataclass(frozen=True)
class Holding:
    """One version as a registry itself says that it gives it out.

    Attributes:
        name: the model's name; the registry's own word for it where it does not know ours.
        version: the number, or empty where the registry says none.
        manifest: the manifest digest as text, or empty.
        location: how the registry names it.
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
        """Where it is, without credentials; equal addresses, equal registries."""
        ...

    def prepare(self) -> None:
        """Do what can be done before there is anything to publish, such as loading a client; again is harmless."""
        ...

    def publish(
        self, version: ModelVersion, blobs: BlobStore, allow: Allow = always, heard: Heard = unheard
    ) -> Publication:
        """Make a version visible whole, or not at all; again is harmless and returns the same publication.

        Only `PASSED` versions are published; `version.default` says whether it becomes the default version. Every
        file is hashed on its way out.

        Args:
            version: what is published.
            blobs: where its content lies.
            allow: called when every file is in place, right before they become visible.
            heard: hears of the bytes put in place.

        Raises:
            RegistryError: it is not `PASSED`, or the registry refused.
            RegistryUnavailable: the registry could not be reached; try again later.
            IntegrityError: a blob is damaged.
        """
        ...

    def holds(self, version: ModelVersion, blobs: BlobStore) -> bool:
        """Whether a version is given out as it is: by its digest, with whole files, and as the default or not.

        Local files are compared as `folder_writer.seems_whole` does, those of a server by their sizes.
        """
        ...

    def damaged(self, version: ModelVersion, blobs: BlobStore) -> list[str]:
        """Return the paths of a version that are given out with other bytes, lack or are too many; all is read."""
        ...

    def withdraw(self, name: str, version: str, reason: str) -> None:
        """Make a version invisible to who loads by name; the reason stays readable. Again is harmless."""
        ...

    def listing(self) -> Iterator[Holding]:
        """Yield every version that is given out, whoever published it."""
        ...
