"""The newest change of the catalog, read for every request after it arrived: what was kept from before it is outdated.

Requests that wait at the same time share one reading. Not here: what is kept (web.kept_answers, intake.callers).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import inf

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request

from weighbridge.domain.audit import EMPTY, Head

#: Where a request's scope has the time at which it arrived, of `time.perf_counter`.
ARRIVED = "weighbridge.arrived"


class NewestChange:
    """Reads the head of the audit log, for the coroutines of one event loop.

    Args:
        read: returns it; called in a thread of its own, so that it does not wait for the work of other requests.
        waits: whether `read` may wait for something; what waits for nothing needs no thread.
    """

    def __init__(self, read: Callable[[], Head], *, waits: bool = True) -> None:
        self._read, self._waits, self._thread = read, waits, CapacityLimiter(1)
        self._reading: asyncio.Task[Head] | None = None
        self._next: asyncio.Task[Head] | None = None
        self._read_at, self._last = float("-inf"), EMPTY

    async def after(self, request: Request) -> Head:
        """Return the newest change after the request arrived; the same one for everything that is done for it.

        Raises:
            CatalogUnavailable, CatalogError: it cannot be read.
        """
        if not hasattr(request.state, "newest"):
            request.state.newest = await self._now() if self._waits else self._at_once(request)
        found: Head = request.state.newest
        return found

    def _at_once(self, request: Request) -> Head:
        if self._read_at <= request.scope.get(ARRIVED, inf):
            began = time.perf_counter()
            self._last = self._read()
            self._read_at = began
        return self._last

    async def _now(self) -> Head:
        # A reading that has begun may have missed a change that this request's client already knows of.
        if self._next is None:
            self._next = asyncio.create_task(self._read_after(self._reading))
        return await asyncio.shield(self._next)

    async def _read_after(self, earlier: asyncio.Task[Head] | None) -> Head:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._reading, self._next = self._next, None
        return await run_sync(self._read, limiter=self._thread)
