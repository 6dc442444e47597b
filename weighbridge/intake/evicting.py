"""Evicting: versions that only the mirror took in are removed on request, and what nothing needs then is deleted.

A later request of the mirror takes such a version in again. Not here: which ones may go (intake.caching), and what goes
without being asked (intake.cache_limit).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from weighbridge.errors import StateConflict
from weighbridge.intake.caching import CachedVersion, Holdings
from weighbridge.intake.collecting import Collection as Collected
from weighbridge.intake.collecting import collect
from weighbridge.intake.lookup import find_all, find_numbered
from weighbridge.intake.removing import remove
from weighbridge.intake.workspace import Workspace


@dataclass(frozen=True)
class Eviction:
    """The result of an eviction.

    Attributes:
        versions: those that were removed, or would be.
        freed_by_versions: bytes that nothing else needs of these.
        collected: what was deleted; in a dry run, without the bytes of those versions.
    """

    versions: tuple[CachedVersion, ...]
    freed_by_versions: int
    collected: Collected

    @property
    def freed(self) -> int:
        """Bytes of disk space that it freed, or would free."""
        return self.collected.done.freed + (self.freed_by_versions if self.collected.dry_run else 0)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "versions": [one.to_json() for one in self.versions],
            "freed": self.freed,
            "collection": self.collected.to_json(),
        }


def chosen(
    names: Sequence[str], unused_for: timedelta | None, holdings: Holdings, workspace: Workspace
) -> list[CachedVersion]:
    """Return the versions that a request to evict means, those first that were not asked for the longest time.

    Args:
        names: NAME or NAME@VERSION, each of them evictable; with none of them, every version that is evictable.
        unused_for: only those that were not asked for as long; without it, and without names, no version.
        holdings: what there is.
        workspace: the workspace to use.

    Raises:
        NotInCatalog: there is no such version.
        StateConflict: a version that is named has to stay.
    """
    if not names and unused_for is None:
        return []
    wanted = _named(names, holdings, workspace) if names else [one for one in holdings.versions if not one.kept]
    last = workspace.clock() - unused_for if unused_for is not None else None
    found = [one for one in wanted if last is None or one.used.last_use <= last]
    return sorted(found, key=lambda one: one.used.last_use)


def _named(names: Sequence[str], holdings: Holdings, workspace: Workspace) -> list[CachedVersion]:
    found: dict[str, CachedVersion] = {}
    for text in names:
        name, sign, number = text.rpartition("@")
        if sign:
            find_numbered(workspace.catalog, text)
        else:
            name, number = text, ""
            find_all(workspace.catalog, text)
        here = [one for one in holdings.versions if one.used.name == name and number in ("", one.used.version)]
        staying = [one for one in here if one.kept]
        if staying:
            reasons = "; ".join(f"{one.label}: {', '.join(one.kept)}" for one in staying[:3])
            raise StateConflict(
                f"Not every version of {text} came in by the mirror alone, or may go: {reasons}.",
                f"Name the others as NAME@VERSION, or use `weighbridge rm {staying[0].label}`.",
                name=name,
            )
        found |= {one.label: one for one in here}
    return list(found.values())


def evict(
    versions: Collection[CachedVersion],
    holdings: Holdings,
    models: Iterable[Path],
    workspace: Workspace,
    *,
    dry_run: bool,
) -> Eviction:
    """Remove versions, and delete what nothing needs, of the whole store.

    What somebody has asked for by hand meanwhile, or what was used after it was chosen, stays.

    Raises:
        RegistryError: a registry refused to withdraw a version; run it again.
        CatalogError, InvalidConfiguration: as `collect`.
    """
    files = tuple(models)
    if dry_run:
        freed = sum(holdings.without(one) for one in versions)
        return Eviction(tuple(versions), freed, collect(workspace, files, dry_run=True))
    now = {one.label: one for one in Holdings(workspace, files).versions}
    doomed = [one for one in versions if _is_still_idle(one, now.get(one.label))]
    freed = sum(holdings.without(one) for one in doomed)
    for one in doomed:
        remove(one.label, workspace, f"evicted: last used {one.used.last_use:%Y-%m-%d}")
    return Eviction(tuple(doomed), freed, collect(workspace, files))


def _is_still_idle(then: CachedVersion, now: CachedVersion | None) -> bool:
    return now is not None and not now.kept and now.used.last_use == then.used.last_use
