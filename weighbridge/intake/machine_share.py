"""A share of the machine for work that can wait: fewer blobs at once, and pauses in proportion to the work done."""

from __future__ import annotations

import math
import time
from threading import BoundedSemaphore, Event, local
from types import TracebackType
from typing import Literal


class SharedSlots(BoundedSemaphore):
    """Slots for scans that together use a share of some processors; a slot is kept during its pause.

    Args:
        share: above 0, up to 1.
        processors: how many there are.
        stopped: ends pauses at once.

    Attributes:
        threads: how many slots there are: the fewest that can use the share.
    """

    def __init__(self, share: float, processors: int, stopped: Event) -> None:
        self.threads = max(1, math.ceil(share * processors))
        super().__init__(self.threads)
        self._rest = self.threads / (share * processors) - 1  # Seconds of pause for a second of work.
        self._stopped, self._thread = stopped, local()

    def __enter__(self) -> bool:  # type: ignore[override]
        self.acquire()
        self._thread.began = time.monotonic()
        return True

    def __exit__(  # type: ignore[override]
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        try:
            self.pause()
        finally:
            self._thread.began = None
            self.release()
        return False

    def pause(self) -> None:
        """Pause for the work that this thread did in its slot since the last pause; without a slot, do nothing."""
        began = getattr(self._thread, "began", None)
        if began is None or self._rest <= 0:
            return
        self._stopped.wait((time.monotonic() - began) * self._rest)
        self._thread.began = time.monotonic()
