"""Clients of an HTTP server, in a process of their own: each sends its next request when it has the answer to the last.

A client is a socket and a few lines, so that the time it measures is the server's and not a library's.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Timing:
    """What some requests took.

    Attributes:
        seconds: of each request, sorted.
        wall_s: from the first request to the last answer.
        statuses: the statuses of the answers, each once.
    """

    seconds: tuple[float, ...]
    wall_s: float
    statuses: tuple[int, ...]

    def quantile(self, share: float) -> float:
        """Return the seconds that a share of the requests took at most."""
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds) / self.wall_s


def load(url: str, targets: Sequence[str], headers: Mapping[str, str], clients: int) -> Timing:
    """Ask for every target once, by so many clients at once, and return what it took."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run, url, tuple(targets), dict(headers), clients).result()


def _run(url: str, targets: tuple[str, ...], headers: dict[str, str], clients: int) -> Timing:
    return asyncio.run(_ask_all(url, targets, headers, clients))


async def _ask_all(url: str, targets: tuple[str, ...], headers: dict[str, str], clients: int) -> Timing:
    address = urlsplit(url)
    sent = {"Host": address.netloc, "Accept": "*/*", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    waiting, seconds, statuses = iter(targets), list[float](), set[int]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**24)
        for target in waiting:
            began = time.perf_counter()
            writer.write(f"GET {address.path}{target} HTTP/1.1\r\n{head}\r\n".encode())
            statuses.add(await _answer(reader))
            seconds.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Timing(tuple(sorted(seconds)), time.perf_counter() - began, tuple(sorted(statuses)))


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer to its end, and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    _, _, length = head.partition(b"content-length:")
    if length:
        await reader.readexactly(int(length.partition(b"\r\n")[0]))
    elif b"transfer-encoding: chunked" in head:
        while size := int((await reader.readline()).partition(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    return status
