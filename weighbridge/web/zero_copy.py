"""Zero copy: the kernel sends files to clients, and their bytes never pass through this process's memory.

ASGI calls this the extension `http.response.zerocopysend`; uvicorn's connections do not have it, these do. Not here:
what is sent (web.mirror.transfers).
"""

from __future__ import annotations

import asyncio
from typing import Any

from h11 import Data
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

#: The extension, and the type of its messages.
ZERO_COPY = "http.response.zerocopysend"


class _Length(bytes):
    """Stands for bytes that are sent by other means: their number is all that the state of a connection needs."""

    def __new__(cls, length: int) -> _Length:
        found = super().__new__(cls)
        found._length = length
        return found

    _length: int

    def __len__(self) -> int:
        return self._length


class FileConnection(H11Protocol):
    """A connection to a client, whose requests may be answered with parts of files.

    The file of such a message is a binary one without a buffer. Sending raises ConnectionError where the client has
    gone, and EOFError where the file has fewer bytes than the message says.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # So that `drain` waits until everything was sent.
        self._answering, self.app = self.app, self._answer

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answering(*self._extended(scope, receive, send))

    def _extended(self, scope: Scope, receive: Receive, send: Send) -> Any:
        async def sending(message: Message) -> None:
            if message["type"] == ZERO_COPY:
                await self._send_file(message)
                message = {"type": "http.response.body", "more_body": message.get("more_body", False)}
            await send(message)

        scope.setdefault("extensions", {})[ZERO_COPY] = {}
        return scope, receive, sending

    async def _send_file(self, message: Message) -> None:
        count = message["count"]
        # asyncio waits, too, but a connection that is lost meanwhile makes it fail in a callback.
        await self.flow.drain()
        if self.transport.is_closing():
            raise ConnectionError("The client has gone.")
        self.conn.send_with_data_passthrough(Data(data=_Length(count)))
        try:
            sent = await self.loop.sendfile(self.transport, message["file"], message["offset"], count)
        except (RuntimeError, OSError) as error:  # asyncio raises RuntimeError where the connection is closed already.
            self.cycle.disconnected = True
            self.transport.abort()
            raise ConnectionError("The client has gone.") from error
        if sent < count:
            raise EOFError(f"{count - sent} bytes are missing.")
