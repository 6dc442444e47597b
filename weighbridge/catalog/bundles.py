"""Bundles in the catalog: rows of the audit log that say which versions were packed into one, and which came in one.

`Catalog.bundles` is one; its errors are those of `Catalog`. Not here: bundles themselves (intake.bundling,
intake.unbundling).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weighbridge.catalog import audit, versions
from weighbridge.catalog.changes import Changes
from weighbridge.domain.digest import Digest

#: The actions of these rows.
PACKED, IMPORTED = "version.bundled", "version.imported"


class Bundles:
    """The bundles of a catalog; safe for threads and processes."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def note_packed(self, name: str, version: str, bundle: Digest) -> None:
        """Record that the actor packs a version into a bundle of that digest; call it before.

        Raises:
            NotInCatalog: there is no such version.
        """
        with self._changes.begin() as change:
            versions.require(change.connection, name, version)
            change.record(PACKED, f"{name}@{version}", after={"bundle": str(bundle)})

    def note_imported(self, name: str, version: str, facts: Mapping[str, Any]) -> None:
        """Record what a version came with in a bundle, which the facts name as `bundle`; once a bundle.

        Raises:
            NotInCatalog: there is no such version.
        """
        with self._changes.begin() as change:
            versions.require(change.connection, name, version, hold=True)
            rows = audit.about(change.connection, f"{name}@{version}", IMPORTED)
            if all((row.after or {}).get("bundle") != facts["bundle"] for row in rows):
                change.record(IMPORTED, f"{name}@{version}", after=facts)

    def imported(self, name: str, version: str) -> Mapping[str, Any] | None:
        """Return what `note_imported` recorded of a version last, with `imported_at` and `by`; None for none."""
        row = audit.AuditLog(self._database).last(f"{name}@{version}", IMPORTED)
        return {**(row.after or {}), "imported_at": row.at.isoformat(), "by": row.actor} if row is not None else None
