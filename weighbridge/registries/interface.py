"""What a registry is: a place from which people load what passed. Adapters lie beside this file."""

from __future__ import annotations

from typing import ClassVar, Protocol

from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.store.interface import BlobStore


class Registry(Protocol):
    """A place that a version is published to; both methods raise `RegistryError` and its kinds only."""

    name: ClassVar[str]

    def prepare(self) -> None:
        """Do what can be done before there is anything to publish, such as loading a client; again is harmless."""
        ...

    def publish(self, version: ModelVersion, blobs: BlobStore) -> Publication:
        """Make a version visible whole, or not at all; again is harmless and returns the same publication.

        Only `PASSED` versions are published; `version.default` says whether it becomes the default version.

        Raises:
            RegistryError: it is not `PASSED`, or the registry refused.
            RegistryUnavailable: the registry could not be reached; try again later.
        """
        ...

    def withdraw(self, name: str, version: str, reason: str) -> None:
        """Make a version invisible to who loads by name; the reason stays readable. Again is harmless."""
        ...
