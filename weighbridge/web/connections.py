"""Connections: a client has to send the head of a request in time, and in reasonable size.

Not here: bodies (web.limits). How long an idle connection is kept is the server's to say.
"""

from __future__ import annotations

import asyncio
import time

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from weighbridge.web.newest_change import ARRIVED

#: Seconds that a client may take for the head of a request, and for its first byte on a new connection.
HEAD_S = 30.0
#: Bytes of a head.
MAX_HEAD = 65_536


class TimedConnection(HttpToolsProtocol):
    """One connection, which is closed where a head takes too long or is too large: 408 or 431."""

    head_s, max_head = HEAD_S, MAX_HEAD
    _deadline: asyncio.TimerHandle | None = None
    _received = 0
    _is_in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Read what came of requests."""
        self._received += len(data)
        super().data_received(data)
        if self._is_in_head and self._deadline is None:
            self._wait_for_head()
        if self._deadline is not None and self._received > self.max_head:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Note that a head begins, which most often is there as a whole: only what is missing needs a deadline."""
        super().on_message_begin()
        self._is_in_head = True

    def on_headers_complete(self) -> None:
        """Serve the request, whose head is there."""
        self._stop_waiting()
        self.scope[ARRIVED] = time.perf_counter()  # type: ignore[literal-required]
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._received = 0
        self._deadline = self.loop.call_later(self.head_s, self._refuse, b"408 Request Timeout")

    def _stop_waiting(self) -> None:
        self._is_in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: bytes) -> None:
        self._stop_waiting()
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_for_head()  # The head is of a request that follows the one which is being answered.
        elif not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
            self.transport.close()
