"""Arrivals: files that are sent while they are still being received.

Nothing is sent, not even a status, before there is a byte: clients show no reason for a transfer that breaks off. No
thread waits meanwhile. Not here: receiving (intake.read_through), and files that are here (web.mirror.transfers).
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator

from anyio import move_on_after, sleep
from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from weighbridge.errors import BeingWeighed, WeighbridgeError
from weighbridge.web.mirror.refusals import refusal
from weighbridge.web.mirror.transfers import FileTransfer

#: Seconds within which clients want a first byte; they give up after ten.
PATIENCE_S = 8.0
#: Seconds between two looks at what somebody waits for, the first ones and the later ones.
_SOON_S, _LATER_S = 0.005, 0.1


async def until(there: Callable[[], bool], deadline: float) -> bool:
    """Wait until something is there, and return whether it is, at a time of `time.monotonic` at the latest."""
    pause_s = _SOON_S
    while not there():
        if time.monotonic() > deadline:
            return False
        await sleep(pause_s)
        pause_s = min(_LATER_S, 2 * pause_s)
    return True


class ArrivingTransfer(FileTransfer):
    """Sends a file, or ranges of it, as its bytes arrive; the last byte only when all of them are right."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer: a refusal, where no byte comes in time, or the file cannot be had."""
        try:
            with move_on_after(PATIENCE_S):
                self._first = self._first or await self._following()
        except WeighbridgeError as error:
            await self._refuse(error)(scope, receive, send)
            return
        if self._first:
            await super().__call__(scope, receive, send)
            return
        path = self._file.entry.path
        late = BeingWeighed(f"{path} is being fetched from its Hub.", "Ask again in some seconds.", retry_after_s=2)
        await self._refuse(late)(scope, receive, send)

    def _refuse(self, error: WeighbridgeError) -> Response:
        self._file.blob.close()
        return refusal(error)

    async def _following(self) -> bytes:
        while True:
            await until(lambda: self._file.is_ready, math.inf)
            piece = await run_sync(next, self._pieces, None)
            if piece is None or piece:
                return piece or b""

    async def _there(self, spans: Iterator[tuple[int, int]]) -> AsyncIterator[tuple[int, int]]:
        while span := await run_sync(next, spans, None):
            if span[1]:
                yield span
            await until(lambda: self._file.is_ready, math.inf)
