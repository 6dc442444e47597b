"""Places in the catalog: which registries have each version, or are about to.

Not here: the statements (catalog.publications).
"""

from __future__ import annotations

from weighbridge.catalog import publications, versions
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.publications import RegistryPlace
from weighbridge.domain.version import Publication


class Places:
    """The places of a catalog's versions; `Catalog.places` is one. Its methods raise as the catalog's do."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def begin_upload(self, name: str, version: str, registry: str, address: str) -> bool:
        """Record that an upload to a registry begins; return False, recording nothing, unless the version is PASSED.

        Raises:
            CatalogError: no such version.
        """
        with self._changes.begin() as change:
            version_id, status = versions.require(change.connection, name, version, hold=True, removed=True)
            if status == "PASSED":
                publications.begin_upload(change.connection, version_id, registry, address, change.now)
                after = {"registry": registry, "address": address}
                change.record("version.uploading", f"{name}@{version}", after=after)
            return status == "PASSED"

    def add(self, name: str, version: str, publication: Publication) -> bool:
        """Record where a version was published, and that its upload ended; a second call is harmless.

        Returns False, recording nothing, when the version is no longer PASSED: the caller has to take it back.

        Raises:
            CatalogError: no such version.
        """
        with self._changes.begin() as change:
            version_id, status = versions.require(change.connection, name, version, hold=True, removed=True)
            if status != "PASSED":
                return False
            publications.add(change.connection, version_id, publication, change.now)
            publications.end_upload(change.connection, version_id, publication.registry, publication.address)
            after = {"registry": publication.registry, "location": publication.location}
            change.record("version.published", f"{name}@{version}", after=after)
            return True

    def remove(self, name: str, version: str, registry: str, address: str = "") -> None:
        """Delete the records of publications and uploads to a registry, once the version is withdrawn there.

        Raises:
            CatalogError: no such version.
        """
        with self._changes.begin() as change:
            version_id, _ = versions.require(change.connection, name, version, removed=True)
            publications.remove(change.connection, version_id, registry, address)
            publications.end_upload(change.connection, version_id, registry, address)
            before = {"registry": registry, "address": address}
            change.record("version.unpublished", f"{name}@{version}", before=before)

    def of(self, name: str, version: str) -> list[RegistryPlace]:
        """Return every registry that has a version, or may have parts of it from an upload that did not end.

        Raises:
            CatalogError: no such version.
        """
        with self._changes.database.read() as connection:
            version_id, _ = versions.require(connection, name, version, removed=True)
            return publications.places(connection, version_id, self._changes.clock())
