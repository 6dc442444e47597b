"""Quarantine: the versions that the gate rejected or a person withdrew, and purging their bytes.

Not here: what a sync does with such a version (intake.standing), or how blobs are deleted (intake.collecting).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from weighbridge.catalog import Catalog
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import UsageError
from weighbridge.intake.collecting import Collection, collect
from weighbridge.intake.lookup import find_numbered
from weighbridge.intake.workspace import Workspace


@dataclass(frozen=True)
class Quarantined:
    """A version that no registry serves.

    Attributes:
        version: the version.
        places: the path of each file's bytes, by the file's path; without files that are not in the store.
    """

    version: ModelVersion
    places: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the version's own object, and the places of its files."""
        return {**self.version.to_json(), "places": dict(self.places)}


def quarantined(catalog: Catalog) -> list[ModelVersion]:
    """Return every FAILED version, those of one model together, the latest first."""
    every = (version for model in catalog.lists.models() for version in catalog.lists.versions(model.name))
    failed = [catalog.get(version.name, version.version) for version in every if version.status == "FAILED"]
    return [version for version in failed if version is not None]


def inspect(text: str, workspace: Workspace) -> Quarantined:
    """Return the quarantined version `NAME@VERSION` with the places of its bytes.

    Raises:
        UsageError: it does not exist, or is not quarantined.
    """
    version = _required(text, workspace.catalog)
    store = workspace.store
    held = ((entry.path, entry.digest) for entry in version.manifest.files if entry.digest and store.has(entry.digest))
    return Quarantined(version, tuple((path, str(store.path(digest))) for path, digest in held))


def purgeable(names: Sequence[str], older_than_days: float, workspace: Workspace) -> list[ModelVersion]:
    """Return the quarantined versions that have bytes: the named ones, or all, and only old enough ones.

    Raises:
        UsageError: a name does not mean a quarantined version.
    """
    found = [_required(name, workspace.catalog) for name in names] or quarantined(workspace.catalog)
    oldest = workspace.clock() - timedelta(days=older_than_days)
    return [one for one in found if not one.purged and datetime.fromisoformat(one.created_at) <= oldest]


def purge(versions: Sequence[ModelVersion], workspace: Workspace) -> None:
    """Mark the bytes of quarantined versions as not needed; the next collection deletes them. Their verdicts stay.

    Raises:
        CatalogError: one of them is not FAILED any more.
    """
    for version in versions:
        workspace.catalog.purge(version.name, version.version)


def delete(versions: Sequence[ModelVersion], models: Iterable[Path], workspace: Workspace) -> Collection:
    """Purge quarantined versions, and delete those of their bytes that nothing else needs.

    A kill leaves versions that are purged and blobs that nothing needs: the same call again deletes them.

    Args:
        versions: they may be purged already.
        models: models files; what the lock beside one of them holds is kept.
        workspace: the workspace to use.

    Raises:
        CatalogError: one of the versions is not FAILED any more.
    """
    purge([version for version in versions if not version.purged], workspace)
    return collect(workspace, models, of=versions)


def _required(text: str, catalog: Catalog) -> ModelVersion:
    version = find_numbered(catalog, text)
    if version.status != "FAILED":
        raise UsageError(f"{text} is {version.status}, not quarantined.", "`weighbridge quarantine ls` shows what is.")
    return version
