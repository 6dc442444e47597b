"""Finishing: a served process takes back, again and again, what a registry could not take back at the time.

Not here: what that is, and how it is done (intake.recalling).
"""

from __future__ import annotations

import logging
from threading import Event, Thread
from types import TracebackType
from typing import Self

from weighbridge.intake.asker import Asker
from weighbridge.intake.queue_worker import STOP_S
from weighbridge.intake.resources import Resources
from weighbridge.intake.unexpected import foreseen

#: Seconds between two looks, and the longest wait while a registry goes on refusing.
_ROUND_S, _LONGEST_S = 60.0, 900.0
_log = logging.getLogger(__name__)


class Finisher:
    """Finishes recalls while its context lasts; several processes may do so at once.

    Args:
        resources: those of the process.
        round_s: seconds between two looks.
    """

    def __init__(self, resources: Resources, round_s: float = _ROUND_S) -> None:
        self._resources, self._round_s = resources, round_s
        self._stopping = Event()
        self._thread = Thread(target=self._work, name="finishing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_S)

    def _work(self) -> None:
        wait_s = self._round_s
        while not self._stopping.wait(wait_s):
            wait_s = self._round_s if self._finish() else min(2 * wait_s, _LONGEST_S)

    def _finish(self) -> bool:
        """Finish what there is; return whether nothing is left that a registry refuses."""
        try:
            if not self._resources.catalog.recalls.uneven():
                return True
            from weighbridge.intake.recalling import finish  # A server that has nothing to finish does without it.
            from weighbridge.intake.workspace import workspace_of

            with workspace_of(self._resources, Asker()) as workspace:
                finished = finish(workspace)
        except Exception as error:  # noqa: BLE001 (the thread goes on)
            _log.error("Recalls: %s", foreseen(error, "recalls", self._resources.settings.folder))
            return False
        for which, reasons in finished.unfinished.items():
            _log.warning(
                "A version is still in a registry that has to take it back", extra={"version": which, "why": reasons}
            )
        return not finished.unfinished
