"""Zero copy: the kernel sends files to clients, and their bytes never pass through this process's memory.

ASGI calls this the extension `http.response.zerocopysend`; uvicorn's connections do not have it, these do. Not here:
what is sent (web.mirror.transfers).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from weighbridge.web.connections import TimedConnection

#: The extension, and the type of its messages.
ZERO_COPY = "http.response.zerocopysend"


class FileConnection(TimedConnection):
    """A connection to a client, whose requests may be answered with parts of files.

    The file of such a message is a binary one without a buffer, and the answer has a Content-Length. Sending raises
    ConnectionError where the client has gone, and EOFError where the file has fewer bytes than the message says.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # So that `drain` waits until everything was sent.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, partial(self._answer, cycle, app))

    async def _answer(
        self, cycle: RequestResponseCycle, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == ZERO_COPY:
                await self._send_file(cycle, message)
                message = {"type": "http.response.body", "more_body": message.get("more_body", False)}
            await send(message)

        scope.setdefault("extensions", {})[ZERO_COPY] = {}
        await app(scope, receive, sending)

    async def _send_file(self, cycle: RequestResponseCycle, message: Message) -> None:
        count = message["count"]
        # asyncio waits, too, but a connection that is lost meanwhile makes it fail in a callback.
        await self.flow.drain()
        if self.transport.is_closing():
            raise ConnectionError("The client has gone.")
        if count > cycle.expected_content_length:
            raise RuntimeError("The answer has no Content-Length, or a smaller one.")
        cycle.expected_content_length -= count
        try:
            sent = await self.loop.sendfile(self.transport, message["file"], message["offset"], count)
        except (RuntimeError, OSError) as error:  # asyncio raises RuntimeError where the connection is closed already.
            cycle.disconnected = True
            self.transport.abort()
            raise ConnectionError("The client has gone.") from error
        if sent < count:
            raise EOFError(f"{count - sent} bytes are missing.")
