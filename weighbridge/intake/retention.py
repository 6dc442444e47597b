"""Retention: a served process deletes jobs, messages and transits that ended long ago, at its start and each hour.

It holds the limit of the cache as often (intake.cache_limit).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

from weighbridge.intake.queue_worker import STOP_S
from weighbridge.intake.resources import Resources
from weighbridge.intake.unexpected import foreseen

#: How long messages are kept after their end.
MESSAGES_KEPT_FOR = timedelta(days=30)
#: How long what a Hub said of a model that was handed on is kept: its commits belong to it.
_TRANSITS_KEPT_FOR = timedelta(days=30)
_ROUND_S = 3600.0
_log = logging.getLogger(__name__)


class Retention:
    """Deletes old jobs, as the setting `job_retention_days` says, messages and transits, while its context lasts."""

    def __init__(self, resources: Resources) -> None:
        self._settings = resources.settings
        catalog, jobs_kept_for = resources.catalog, timedelta(days=resources.settings.job_retention_days)
        self._tasks: dict[str, Callable[[], object]] = {
            "messages": lambda: catalog.deliveries.forget(MESSAGES_KEPT_FOR.total_seconds()),
            "transits": lambda: catalog.transits.forget(_TRANSITS_KEPT_FOR),
        }
        if resources.settings.cache_limit:
            self._tasks["blobs"] = lambda: _hold_limit(resources)
        if jobs_kept_for:
            self._tasks["jobs"] = lambda: catalog.jobs.forget(jobs_kept_for)
        self._stopping = Event()
        self._thread = Thread(target=self._work, name="retention", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_S)

    def _work(self) -> None:
        while not self._stopping.is_set():
            for what, forget in self._tasks.items():
                try:
                    forget()
                except Exception as error:  # noqa: BLE001 (what meets a bug once is tried again an hour later)
                    _log.error("Old %s: %s", what, foreseen(error, f"old {what}", self._settings.folder))
            self._stopping.wait(_ROUND_S)


def _hold_limit(resources: Resources) -> None:
    from weighbridge.intake.cache_limit import hold_limit  # It imports what a server can do without at its start.

    hold_limit(resources, Path.cwd())
