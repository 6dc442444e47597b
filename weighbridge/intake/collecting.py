"""Collecting: deletes blobs that no version, no lock and no running work needs, and reports the bytes.

Not here: how blobs are deleted while other processes run (store.sweeping).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.config.lock_file import lock_path, read_lock
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import CatalogError
from weighbridge.intake.workspace import Workspace
from weighbridge.store.sweeping import Sweep, sweep

_DAY_S = 86_400.0


@dataclass(frozen=True)
class Collection:
    """The result of a collection.

    Attributes:
        done: what was deleted, or would be.
        dry_run: whether nothing was deleted.
        locks: the lock files that were read.
    """

    done: Sweep
    dry_run: bool
    locks: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        done = {**vars(self.done), "unread": list(self.done.unread)}
        return {"dry_run": self.dry_run, **done, "locks": [str(path) for path in self.locks]}


def collect(
    workspace: Workspace,
    models: Iterable[Path] = (),
    *,
    older_than_days: float = 0.0,
    of: Iterable[ModelVersion] | None = None,
    limit: int | None = None,
    dry_run: bool = False,
) -> Collection:
    """Delete every blob of the store that nothing needs, or with a limit as many of them as it has bytes above that.

    A blob is needed by a version of the catalog, whatever its status, unless it was removed or purged; by a lock beside
    one of the models files; and by all running work that relies on it.

    Args:
        workspace: the workspace to use.
        models: models files; they need not exist.
        of: only blobs of these versions are considered; the whole store when None.
        older_than_days: days for which a blob is kept, needed or not.
        limit: bytes that the store may have; those blobs go first that came first.
        dry_run: whether nothing is deleted.

    Raises:
        CatalogError: the catalog cannot be read, or has never had a model: then it does not belong to this store.
        InvalidConfiguration: a lock cannot be read; nothing was deleted.
    """
    catalog, locks = workspace.catalog, list[Path]()
    if catalog.blank and next(workspace.store.digests(), None) is not None:
        raise CatalogError(
            f"The catalog knows no model, and the store at {workspace.store.root} has blobs: nothing was deleted.",
            "Check WEIGHBRIDGE_HOME and WEIGHBRIDGE_CATALOG_URL: the catalog of this store knows what is needed.",
        )

    def needed() -> set[Digest]:
        locked = locked_manifests(models)
        locks.extend(locked)
        return catalog.needed() | blobs_of(one for found in locked.values() for one in found)

    among = None if of is None else {one.digest for version in of for one in version.manifest.files if one.digest}
    done = sweep(workspace.store, needed, older_than_days * _DAY_S, among=among, limit=limit, dry_run=dry_run)
    return Collection(done, dry_run, tuple(locks))


def locked_manifests(models: Iterable[Path]) -> dict[Path, tuple[Manifest, ...]]:
    """Return what the locks beside models files hold, by the path of each lock that there is.

    Raises:
        InvalidConfiguration: a lock cannot be read.
    """
    found = (lock_path(one) for one in models)
    # A container without a lock has /dev/null in its place (deployments/compose.yaml).
    there = [path for path in found if path.exists() and not path.is_char_device()]
    return {path: tuple(manifest for _, manifest in read_lock(path).values()) for path in there}


def blobs_of(manifests: Iterable[Manifest]) -> set[Digest]:
    """Return every blob of some manifests."""
    return {entry.digest for one in manifests for entry in one.files if entry.digest}
