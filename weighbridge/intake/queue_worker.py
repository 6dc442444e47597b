"""Threads that take work from a queue in the catalog, which other processes fill and empty too, until the process ends.

Not here: the work itself (intake.job_worker, intake.delivery).
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from abc import ABC, abstractmethod
from threading import Event, Thread
from types import TracebackType
from typing import Self

#: Seconds between two looks at an empty queue, which other processes fill, too.
POLL_S = 1.0
#: Seconds to wait for running work when the process ends; the lease of what takes longer runs out by itself.
STOP_S = 10.0


class QueueWorker(ABC):
    """Works through a queue while its context lasts.

    Args:
        name: of its threads.
        threads: how many pieces of work at once; with none, other processes do the work.

    Attributes:
        stopping: set when the process is about to end.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.stopping, self._woken = Event(), Event()
        self._threads = [Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._woken.set()
        end = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def wake(self) -> None:
        """Look at the queue at once: something was added to it."""
        self._woken.set()

    @abstractmethod
    def work_once(self, owner: str) -> bool:
        """Take a piece of work under a name, which is used once, and do it; return whether there was one."""

    def _work(self) -> None:
        while not self.stopping.is_set():
            owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
            if not self.work_once(owner) and self._woken.wait(POLL_S):
                self._woken.clear()
