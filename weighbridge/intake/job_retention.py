"""Retention of jobs: a served process deletes those that ended long ago, at its start and then each hour."""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Self

from weighbridge.errors import WeighbridgeError
from weighbridge.intake.queue_worker import STOP_S
from weighbridge.intake.resources import Resources

_ROUND_S = 3600.0
_log = logging.getLogger(__name__)


class JobRetention:
    """Deletes old jobs while its context lasts, as the setting `job_retention_days` says."""

    def __init__(self, resources: Resources) -> None:
        self._queue = resources.catalog.jobs
        self._kept_for = timedelta(days=resources.settings.job_retention_days)
        self._stopping = Event()
        self._thread = Thread(target=self._work, name="job-retention", daemon=True)

    def __enter__(self) -> Self:
        if self._kept_for:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._queue.forget(self._kept_for)
            except WeighbridgeError as error:
                _log.error("Old jobs: %s", error)
            self._stopping.wait(_ROUND_S)
