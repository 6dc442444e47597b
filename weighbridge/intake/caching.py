"""The cache: what of the store upstream can give again, and why the rest stays.

What the mirror alone took in, and nobody else asked for, is the cache's, and so are blobs that nothing needs. Not here:
removing any of it (intake.evicting), and holding a limit (intake.cache_limit).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.catalog import UsedVersion
from weighbridge.config.models_file import read_models
from weighbridge.domain.digest import Digest
from weighbridge.intake.collecting import blobs_of, locked_manifests
from weighbridge.intake.mirrored_models import REVISION_MARK
from weighbridge.intake.workspace import Workspace
from weighbridge.store.survey import Amount, Survey, survey

#: Open jobs that are looked at; more cannot wait.
_MOST_JOBS = 1_000_000


@dataclass(frozen=True)
class CachedVersion:
    """A version whose bytes the store has.

    Attributes:
        used: the version, with its last use.
        own: bytes of it that nothing else needs.
        kept: why it stays, a phrase each; nothing where it may be evicted.
    """

    used: UsedVersion
    own: int
    kept: tuple[str, ...]

    @property
    def label(self) -> str:
        """`NAME@VERSION`."""
        return f"{self.used.name}@{self.used.version}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        used = self.used
        return {
            "name": used.name,
            "version": used.version,
            "status": used.status,
            "size": used.size,
            "own": self.own,
            "taken_in_at": used.taken_in_at.isoformat(),
            "used_at": used.used_at.isoformat() if used.used_at else None,
            "requests": used.requests,
            "evictable": not self.kept,
            "kept": list(self.kept),
        }


class Holdings:
    """What a store has, and what of it each version of the catalog needs, at one time.

    Attributes:
        survey: what the store's folder has.
        versions: those whose bytes it has, sorted by name, the latest first.
        locked: blobs that a lock needs.

    Args:
        workspace: the workspace to use.
        models: models files; they need not exist. What they name, and what the locks beside them hold, stays.

    Raises:
        InvalidConfiguration: a models file, a lock or the mirror's file cannot be read.
        StoreError: the store cannot be read.
    """

    def __init__(self, workspace: Workspace, models: Iterable[Path] = ()) -> None:
        files, catalog = tuple(models), workspace.catalog
        held = [one for found in locked_manifests(files).values() for one in found]
        self._workspace, self.survey = workspace, survey(workspace.store)
        self.locked = blobs_of(held)
        self._locked_manifests = {str(one.digest) for one in held}
        self._wanted = _wanted_names(files)
        self._busy = {
            job.order.name
            for state in ("queued", "running")
            for job in catalog.jobs.listed(state=state, limit=_MOST_JOBS)
        }
        needed = catalog.uses.files()
        self._blobs = {manifest: tuple(map(Digest.parse, found)) for manifest, found in needed.items()}
        used = [one for one in catalog.uses.versions() if one.manifest in self._blobs and not one.purged]
        self._needing = Counter(digest for one in used for digest in self._blobs[one.manifest])
        self.versions = tuple(CachedVersion(one, self._own(one), tuple(self._reasons(one))) for one in used)

    def _reasons(self, used: UsedVersion) -> Iterable[str]:
        if used.status != "PASSED":
            yield "quarantined" if used.status == "FAILED" else f"it is {used.status}"
        if not used.mirrored:
            yield "taken in by hand"
        if used.fixed:
            yield "default set by hand"
        name = used.name.partition(REVISION_MARK)[0]
        if self._wanted & {used.name, name}:
            yield "in models.yaml"
        if used.manifest in self._locked_manifests:
            yield "locked"
        if used.name in self._busy:
            yield "a job works on it"
        mirror = self._workspace.resources.mirror
        if used.mirrored and mirror.upstream(name).mode_of(name) == "catalog":
            yield "mode catalog"  # A request would not take it in again.

    def _own(self, used: UsedVersion) -> int:
        return sum(self._size(digest) for digest in self._blobs[used.manifest] if self._is_only_its(digest))

    def _is_only_its(self, digest: Digest) -> bool:
        return self._needing[digest] == 1 and digest not in self.locked

    def _size(self, digest: Digest) -> int:
        return self.survey.blobs.get(digest, Amount()).size

    def without(self, version: CachedVersion) -> int:
        """Forget a version that is removed, and return the bytes that nothing needs any more."""
        freed = 0
        for digest in self._blobs[version.used.manifest]:
            freed += self._size(digest) if self._is_only_its(digest) else 0
            self._needing[digest] -= 1
        return freed

    def needed_by(self, versions: Iterable[CachedVersion]) -> set[Digest]:
        """Return every blob of some versions."""
        return {digest for one in versions for digest in self._blobs[one.used.manifest]}


def _wanted_names(files: Iterable[Path]) -> set[str]:
    entries = [entry for path in files if path.is_file() for entry in read_models(path)]
    return {name for entry in entries for name in (entry.key, entry.hf_repo_id) if name}


#: What the bytes of a store are for, in the order in which a blob counts: by its first purpose.
PURPOSES = {
    "kept": "versions that stay",
    "mirror": "versions of the mirror",
    "quarantine": "versions that did not pass",
    "locked": "locks",
    "working": "running work",
    "evictable": "nothing needs it",
    "partial": "unfinished downloads",
    "trash": "set aside",
    "corrupt": "damaged",
    "other": "notes and folders",
}
#: Those that do not count for the limit.
_UNCOUNTED = ("trash", "corrupt", "other")


@dataclass(frozen=True)
class CacheUsage:
    """What the bytes of a store are for; together they are all that its folder has.

    Attributes:
        root: the store's folder.
        limit: the bytes that it may have; 0 for no limit.
        purposes: how much of each of `PURPOSES`.
    """

    root: Path
    limit: int
    purposes: Mapping[str, Amount]

    @property
    def total(self) -> Amount:
        """All of it."""
        return sum(self.purposes.values(), Amount())

    @property
    def is_above(self) -> bool:
        """Whether blobs and unfinished downloads are above the limit; what is on its way out does not count."""
        counted = sum(amount.size for name, amount in self.purposes.items() if name not in _UNCOUNTED)
        return bool(self.limit) and counted > self.limit

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        purposes = [{"purpose": name, **vars(amount)} for name, amount in self.purposes.items()]
        facts = {"store": str(self.root), "limit": self.limit, "above_limit": self.is_above}
        return {**facts, "purposes": purposes, "total": vars(self.total)}


def usage(workspace: Workspace, models: Iterable[Path] = ()) -> CacheUsage:
    """Return what the bytes of the store are for. Raises as `Holdings` does."""
    holdings = Holdings(workspace, models)
    with workspace.store.leases.collecting() as held:
        working = held.blobs
    found = _purposes(holdings, holdings.survey, working)
    return CacheUsage(workspace.store.root, workspace.settings.cache_limit, found)


def _purposes(holdings: Holdings, found: Survey, working: frozenset[Digest]) -> dict[str, Amount]:
    versions = holdings.versions
    by_purpose = {
        "kept": holdings.needed_by(one for one in versions if one.kept and one.used.status != "FAILED"),
        "mirror": holdings.needed_by(one for one in versions if not one.kept),
        "quarantine": holdings.needed_by(one for one in versions if one.used.status == "FAILED"),
        "locked": holdings.locked,
        "working": working,
    }
    amounts = dict.fromkeys(PURPOSES, Amount())
    for digest, amount in found.blobs.items():
        amounts[next((name for name, blobs in by_purpose.items() if digest in blobs), "evictable")] += amount
    rest = {name: getattr(found, name) for name in ("partial", "trash", "corrupt", "other")}
    return {**amounts, **rest}
