"""Removing a version from every registry and from the catalog; its bytes stay until they are collected.

Not here: deleting blobs (intake.collecting), or withdrawing, which leaves a version visible (intake.publishing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weighbridge.catalog import Catalog
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import CatalogError
from weighbridge.intake import publishing
from weighbridge.intake.lookup import find_numbered
from weighbridge.intake.workspace import Workspace

#: The reason that registries store.
_REASON = "It was removed from the catalog."


@dataclass(frozen=True)
class Removal:
    """The result of removing a version.

    Attributes:
        name: the model's name.
        version: its number.
        places: registries from which it was removed, as `registry at address`.
        default: the number of the default version now, or empty.
        unneeded: bytes that no other version needs; `gc` deletes them unless a lock needs them.
    """

    name: str
    version: str
    places: tuple[str, ...]
    default: str
    unneeded: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**vars(self), "places": list(self.places)}


def remove(text: str, workspace: Workspace, reason: str = "") -> Removal:
    """Remove the version `NAME@VERSION` from the catalog and every registry; no byte of the store is deleted.

    The audit log keeps the reason.

    1. The catalog hides it first, so that a process that is publishing it withdraws it again.
    2. Every registry that has it, or may have parts of it, withdraws it; the new default version gets its alias.

    Where a registry refuses, the same call again continues with step 2.

    Raises:
        UsageError: there is no such version, and no registry has parts of one that was removed before.
        RegistryError: a registry refused; run it again.
    """
    catalog = workspace.catalog
    name, _, number = text.rpartition("@")
    known = catalog.get(name, number) if name else None
    if known is not None:
        catalog.remove(name, number, reason)
    elif not (name and _is_half_removed(name, number, catalog)):
        find_numbered(catalog, text)
    places = tuple(f"{place.registry} at {place.address}" for place in catalog.places.of(name, number))
    publishing.withdraw_everywhere(name, number, _REASON, workspace)
    default = catalog.get(name)
    number_now = default.version if default is not None and default.default else ""
    return Removal(name, number, places, number_now, _unneeded(known, catalog) if known else 0)


def _is_half_removed(name: str, number: str, catalog: Catalog) -> bool:
    """Return whether an earlier call removed the version from the catalog, and a registry then refused."""
    try:
        return bool(catalog.places.of(name, number))
    except CatalogError:
        return False


def _unneeded(removed: ModelVersion, catalog: Catalog) -> int:
    needed = catalog.needed()
    sizes = {entry.digest: entry.size or 0 for entry in removed.manifest.files if entry.digest not in needed}
    return sum(sizes.values())
