"""The limit of the cache: after each ingest, and each hour in a served process, what is too much goes, oldest first.

Blobs that nothing needs go first. What a version needs never goes by itself, unless the operator's setting
`cache_unused_days` allows it for versions that only the mirror took in. Not here: which ones these are
(intake.caching), and how blobs are deleted beside running work (store.sweeping).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from weighbridge.domain.request import MODELS_FILE
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.asker import Asker
from weighbridge.intake.caching import Holdings
from weighbridge.intake.collecting import collect
from weighbridge.intake.removing import remove
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import Workspace, workspace_of
from weighbridge.store.survey import survey

#: Who evicts without being asked, in the audit log.
ACTOR = "cache:limit"
_log = logging.getLogger(__name__)


@contextmanager
def limit_held(workspace: Workspace) -> Iterator[None]:
    """Hold the store's limit at the end of the block, also where it fails: that may leave blobs behind."""
    try:
        yield
    except Exception:
        hold_limit(workspace.resources, workspace.asker.folder)
        raise
    hold_limit(workspace.resources, workspace.asker.folder)


def hold_limit(resources: Resources, folder: Path) -> None:
    """Delete what is above the store's limit and may go; where that cannot be done, say so in the log.

    Args:
        resources: those of the process.
        folder: what its models.yaml names, and its models.lock holds, stays.
    """
    if not resources.settings.cache_limit or _size(resources) <= resources.settings.cache_limit:
        return
    try:
        with workspace_of(resources, Asker(folder=folder, actor=ACTOR)) as workspace:
            _hold(workspace, (folder / MODELS_FILE,), resources.settings.cache_limit)
    except WeighbridgeError as error:
        _log.warning("The limit of the store was not held: %s", error)


def _hold(workspace: Workspace, models: tuple[Path, ...], limit: int) -> None:
    _collect(workspace, models, limit)
    if _size(workspace.resources) > limit and workspace.settings.cache_unused_days:
        _evict(workspace, models, limit)
        _collect(workspace, models, limit)
    size = _size(workspace.resources)
    if size > limit:
        _log.warning("the store is above its limit, and nothing more may go", extra={"size": size, "limit": limit})


def _collect(workspace: Workspace, models: tuple[Path, ...], limit: int) -> None:
    done = collect(workspace, models, limit=limit).done
    if done.blobs or done.partial:
        _log.info("evicted from the cache", extra={"blobs": done.blobs, "freed": done.freed})


def _evict(workspace: Workspace, models: tuple[Path, ...], limit: int) -> None:
    """Remove versions that only the mirror took in and nobody used for long, until the rest is below the limit."""
    holdings, left = Holdings(workspace, models), _size(workspace.resources)
    last = workspace.clock() - timedelta(days=workspace.settings.cache_unused_days)
    idle = [one for one in holdings.versions if not one.kept and one.used.last_use <= last]
    for one in sorted(idle, key=lambda one: one.used.last_use):
        if left <= limit:
            return
        remove(one.label, workspace, f"evicted above the limit: last used {one.used.last_use:%Y-%m-%d}")
        _log.info("evicted from the cache", extra={"model": one.used.name, "version": one.used.version})
        left -= holdings.without(one)


def _size(resources: Resources) -> int:
    """Return the bytes of the store that count: without the trash, which is on its way out."""
    blobs = survey(resources.store).blobs.values()
    return sum(amount.size for amount in blobs) + resources.store.unfinished_size()
