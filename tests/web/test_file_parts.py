"""Parts of files that the kernel sends: all bytes, in turns, and an error where the client or the file is gone."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path

import pytest

from weighbridge.web.file_parts import FilePart

CONTENT = random.Random(5).randbytes(9 * 1024**2 + 17)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "file"
    found.write_bytes(CONTENT)
    return found


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Transport, socket.socket]]:
    """Yield a transport and the socket of its client, which reads when the test does."""
    ours, client = socket.socketpair()
    client.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    try:
        yield transport, client
    finally:
        transport.abort()
        client.close()
        await asyncio.sleep(0)


async def received(client: socket.socket, size: int) -> bytes:
    loop, found = asyncio.get_running_loop(), bytearray()
    while len(found) < size and (piece := await loop.sock_recv(client, 1 << 20)):
        found += piece
    return bytes(found)


@pytest.mark.parametrize(("start", "count"), [(0, len(CONTENT)), (5, 70_000), (len(CONTENT) - 1, 1), (3, 0)])
def test_a_part_arrives_whole_and_leaves_nothing_open(path: Path, start: int, count: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected() as (transport, client):
            with FileIO(path) as file:
                before = len(os.listdir("/proc/self/fd"))
                part = FilePart(loop, transport, file, start, count)
                _, arrived = await asyncio.gather(part.sent(), received(client, count))
                assert arrived == CONTENT[start : start + count]
                assert len(os.listdir("/proc/self/fd")) == before
                assert transport.is_reading()

    asyncio.run(main())


def test_others_have_their_turn_while_a_client_reads_nothing(path: Path) -> None:
    """aiohttp wrote pieces without giving the loop a turn (aio-libs/aiohttp#501), and a lost client left its
    descriptor among those that are looked at, so that the next one failed (aio-libs/aiohttp#1773, #1893).
    """

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected() as (transport, client), connected() as (other, reader):
            with FileIO(path) as file:
                stuck = asyncio.create_task(FilePart(loop, transport, file, 0, len(CONTENT)).sent())
                await asyncio.gather(
                    FilePart(loop, other, file, 0, len(CONTENT)).sent(), received(reader, len(CONTENT))
                )
                assert not stuck.done()
                client.close()
                with pytest.raises(OSError, match=r"pipe|reset"):
                    await stuck

    asyncio.run(main())


@pytest.mark.parametrize("count", [0, 99, len(CONTENT) - 3])
def test_where_the_kernel_cannot_send_a_file_it_is_read_and_no_byte_more(
    path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """aiohttp read whole pieces in place of a short range (aio-libs/aiohttp#6726, #12096)."""

    def impossible(*_: int) -> int:
        raise OSError(errno.EINVAL, "not of this file system")

    monkeypatch.setattr(os, "sendfile", impossible)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected() as (transport, client):
            with FileIO(path) as file:
                part = FilePart(loop, transport, file, 3, count)
                await asyncio.gather(part.sent(), received(client, count))
                transport.write(b"next")
                assert await received(client, 4) == b"next"

    asyncio.run(main())


def test_who_closes_only_their_own_side_gets_everything(path: Path) -> None:
    """As netcat does, and others that have nothing more to say."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected() as (transport, client):
            with FileIO(path) as file:
                sending = asyncio.create_task(FilePart(loop, transport, file, 0, len(CONTENT)).sent())
                await asyncio.sleep(0)
                client.shutdown(socket.SHUT_WR)
                assert await received(client, len(CONTENT)) == CONTENT
                await sending

    asyncio.run(main())


def test_a_part_can_be_given_up(path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected() as (transport, _):
            with FileIO(path) as file:
                part = FilePart(loop, transport, file, 0, len(CONTENT))
                part.end(ConnectionResetError())  # It has not begun.
                sending = asyncio.create_task(part.sent())
                await asyncio.sleep(0.01)
                part.end(ConnectionResetError())
                part.end(ConnectionResetError())
                with pytest.raises(ConnectionResetError):
                    await sending

    asyncio.run(main())


def test_a_file_that_is_shorter_is_an_error(path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected() as (transport, client):
            with FileIO(path) as file:
                part = FilePart(loop, transport, file, 10, len(CONTENT))
                sending = asyncio.create_task(part.sent())
                await received(client, len(CONTENT) - 10)
                with pytest.raises(EOFError, match="10 bytes are missing"):
                    await sending

    asyncio.run(main())
