"""Parts of files that the kernel sends over a connection of asyncio, in turns with all others.

asyncio's `loop.sendfile` waits anew for each of the kernel's pieces, by a future and changes of what the loop looks at;
here it looks at a connection until a part was sent. Not here: which parts (web.zero_copy).
"""

from __future__ import annotations

import asyncio
import errno
import os
from io import FileIO

#: What the kernel says of a file, or a connection, of which it cannot send parts.
_IMPOSSIBLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.EOPNOTSUPP)


class FilePart:
    """A part of a file on its way over a connection, of which everything that was written before has been sent.

    Args:
        loop: the event loop.
        transport: the connection.
        file: the file.
        offset: where the part begins.
        count: its bytes.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, file: FileIO, offset: int, count: int
    ) -> None:
        self._loop, self._transport, self._file = loop, transport, file
        self._offset, self._missing = offset, count
        self._ended: asyncio.Future[None] | None = None

    async def sent(self) -> None:
        """Return when all of it was handed to the kernel.

        Raises:
            OSError: the client has gone, or the file cannot be read.
            EOFError: the file has fewer bytes.
        """
        try:
            is_sent = self._proceed(self._transport.get_extra_info("socket").fileno())
        except OSError as error:
            if error.errno not in _IMPOSSIBLE:
                raise
            await self._copied()
            return
        if is_sent:
            await asyncio.sleep(0)  # It is the others' turn.
        else:
            await self._rest()

    def end(self, error: BaseException) -> None:
        """Give up."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _proceed(self, connection: int) -> bool:
        """Send as much as the connection takes now; return whether that is all."""
        while self._missing:
            try:
                count = os.sendfile(connection, self._file.fileno(), self._offset, self._missing)
            except BlockingIOError:
                return False
            if not count:
                raise EOFError(f"{self._missing} bytes are missing.")
            self._offset += count
            self._missing -= count
        return True

    async def _rest(self) -> None:
        was_reading = self._transport.is_reading()
        self._transport.pause_reading()  # A client that has sent all that it wants to say may close its side.
        # The loop's own functions may not look at a transport's descriptor: a second one is for the same connection.
        connection, self._ended = os.dup(self._transport.get_extra_info("socket").fileno()), self._loop.create_future()
        self._loop.add_writer(connection, self._continue, connection)
        try:
            await self._ended
        finally:
            self._loop.remove_writer(connection)
            os.close(connection)
            if was_reading:
                self._transport.resume_reading()

    def _continue(self, connection: int) -> None:
        assert self._ended is not None
        if self._ended.done():
            return
        try:
            if self._proceed(connection):
                self._ended.set_result(None)
        except (OSError, EOFError) as error:
            self._ended.set_exception(error)

    async def _copied(self) -> None:
        """Send it as asyncio does where the kernel cannot."""
        try:
            count = await self._loop.sendfile(self._transport, self._file, self._offset, self._missing)
        except RuntimeError as error:  # The connection is closed already.
            raise ConnectionResetError(str(error)) from error
        if count < self._missing:
            raise EOFError(f"{self._missing - count} bytes are missing.")
