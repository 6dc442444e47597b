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
from weighbridge.web.file_parts import FilePart

#: The extension, and the type of its messages.
ZERO_COPY = "http.response.zerocopysend"
#: Bytes from which on a body is written by itself, as to copy it would take longer than to write twice.
_GATHERED = 32 * 1024


class _Gathered:
    """A transport to which the head of an answer and the body that follows it are written as one.

    Args:
        transport: the transport.
        loop: its event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def hold(self) -> None:
        """Keep what is written, until `release` is called, or the event loop goes on."""
        self._held = []
        self._loop.call_soon(self.release)

    def release(self) -> None:
        """Write what was kept."""
        held, self._held = self._held, None
        if held:
            self._transport.write(b"".join(held))

    def write(self, data: bytes) -> None:
        """Write, or keep what is to be written."""
        if self._held is not None and len(data) < _GATHERED:
            self._held.append(data)
        else:
            self.release()
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection, once everything was sent."""
        self.release()
        self._transport.close()


class FileConnection(TimedConnection):
    """A connection to a client, whose requests may be answered with parts of files.

    The file of such a message is a binary one without a buffer, and the answer has a Content-Length. Sending raises
    ConnectionError where the client has gone, and EOFError where the file has fewer bytes than the message says.
    """

    _part: FilePart | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # So that `drain` waits until everything was sent.
        self._gathered = _Gathered(transport, self.loop)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.transport = self._gathered  # type: ignore[assignment]
        super()._start_asgi_task(cycle, partial(self._answer, cycle, app))

    async def _answer(
        self, cycle: RequestResponseCycle, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == ZERO_COPY:
                await self._send_file(cycle, message)
                message = {"type": "http.response.body", "more_body": message.get("more_body", False)}
            elif message["type"] == "http.response.start":
                self._gathered.hold()
            await send(message)
            if message["type"] == "http.response.body":
                self._gathered.release()

        scope.setdefault("extensions", {})[ZERO_COPY] = {}
        await app(scope, receive, sending)

    async def _send_file(self, cycle: RequestResponseCycle, message: Message) -> None:
        count = message["count"]
        self._gathered.release()
        if self.flow.write_paused:
            await self.flow.drain()
        if self.transport.is_closing():
            raise ConnectionError("The client has gone.")
        if count > cycle.expected_content_length:
            raise RuntimeError("The answer has no Content-Length, or a smaller one.")
        cycle.expected_content_length -= count
        self._part = FilePart(self.loop, self.transport, message["file"], message["offset"], count)
        try:
            await self._part.sent()
        except OSError as error:
            cycle.disconnected = True
            self.transport.abort()
            raise ConnectionError("The client has gone.") from error
        finally:
            self._part = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Send nothing more."""
        super().connection_lost(exc)
        if self._part is not None:
            self._part.end(exc or ConnectionResetError())
