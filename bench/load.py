"""Clients of an HTTP server, in a process of their own: each sends its next request when it has the answer to the last.

A client is a socket and a few lines, so that the time it measures is the server's and not a library's.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import TypeVar
from urllib.parse import urlsplit

#: Bytes that a client of large answers reads at once.
_PIECE = 256 * 1024
Answer = TypeVar("Answer")


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
        """Return the seconds that a share of the requests took at most; infinity where none had an answer."""
        if not self.seconds:
            return float("inf")
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds) / self.wall_s


@dataclass(frozen=True)
class Received:
    """What was received in a time.

    Attributes:
        size: bytes of all answers with their heads, the unfinished ones too.
        wall_s: the time.
        statuses: the statuses of the answers, each once.
    """

    size: int
    wall_s: float
    statuses: tuple[int, ...]

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.size / self.wall_s


def load(url: str, targets: Sequence[str], headers: Mapping[str, str], clients: int) -> Timing:
    """Ask for every target once, by so many clients at once, and return what it took."""
    return _in_process(_run, url, tuple(targets), dict(headers), clients)


def load_for(
    seconds: float, url: str, targets: Sequence[str], headers: Mapping[str, str], clients: int, method: str = "GET"
) -> Timing:
    """Ask for targets again and again for some seconds, by so many clients at once, and return what it took.

    What has no answer by then is not among the timings.
    """
    return _in_process(_run, url, tuple(targets), dict(headers), clients, method, seconds)


def receive_for(seconds: float, url: str, targets: Sequence[str], headers: Mapping[str, str], clients: int) -> Received:
    """Ask for large targets again and again for some seconds, and return how much was received."""
    return _in_process(_receive, url, tuple(targets), dict(headers), clients, seconds)


def _in_process(run: Callable[..., Answer], *arguments: object) -> Answer:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def _run(
    url: str, targets: tuple[str, ...], headers: dict[str, str], clients: int, method: str = "GET", seconds: float = 0.0
) -> Timing:
    return asyncio.run(_ask_all(url, targets, headers, clients, method, seconds))


async def _ask_all(
    url: str, targets: tuple[str, ...], headers: dict[str, str], clients: int, method: str, limit_s: float
) -> Timing:
    address = urlsplit(url)
    head = _head(url, headers)
    waiting: Iterator[str] = cycle(targets) if limit_s else iter(targets)
    seconds, statuses = list[float](), set[int]()

    requests = (f"{method} {address.path}{target} HTTP/1.1\r\n{head}\r\n".encode() for target in waiting)
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Asker(requests, method != "HEAD"), address.hostname, address.port)
        for _ in range(clients)
    ]
    await asyncio.wait([asker.ended for _, asker in made], timeout=limit_s or None)
    wall_s = time.perf_counter() - began
    for transport, asker in made:
        transport.abort()
        seconds += asker.seconds
        statuses |= asker.statuses
        if asker.ended.done():
            asker.ended.result()
    return Timing(tuple(sorted(seconds)), wall_s, tuple(sorted(statuses)))


def _head(url: str, headers: Mapping[str, str]) -> str:
    """Return the headers of every request."""
    sent = {"Host": urlsplit(url).netloc, "Accept": "*/*", **headers}
    return "".join(f"{name}: {value}\r\n" for name, value in sent.items())


class _Asker(asyncio.Protocol):
    """Sends its next request when it has the answer to the last, and notes how long each took.

    Streams of asyncio would take longer than the server that is measured.
    """

    def __init__(self, requests: Iterator[bytes], has_bodies: bool) -> None:
        self._requests, self._has_bodies = requests, has_bodies
        self._received, self._whole = bytearray(), 0
        self.seconds, self.statuses = list[float](), set[int]()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._whole:
            self._whole = self._length()
        is_whole = len(self._received) >= self._whole if self._whole > 0 else self._received.endswith(b"0\r\n\r\n")
        if self._whole and is_whole:
            self.seconds.append(time.perf_counter() - self._began)
            self.statuses.add(int(self._received[9:12]))
            self._received.clear()
            self._whole = 0
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionResetError("The server closed the connection."))
            self.ended.exception()  # A client that is stopped by its time has nothing to say.

    def _ask(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.ended.set_result(None)
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def _length(self) -> int:
        """Return the bytes of an answer with its head; 0 where that is not known yet, -1 where it comes in chunks."""
        head, end, _ = self._received.partition(b"\r\n\r\n")
        if not end or not self._has_bodies:
            return len(head) + 4 if end else 0
        _, length, rest = head.lower().partition(b"content-length:")
        if length:
            return len(head) + 4 + int(rest.partition(b"\r\n")[0])
        return -1 if b"transfer-encoding: chunked" in head.lower() else len(head) + 4


def _receive(url: str, targets: tuple[str, ...], headers: dict[str, str], clients: int, seconds: float) -> Received:
    return asyncio.run(_receive_all(url, targets, headers, clients, seconds))


async def _receive_all(
    url: str, targets: tuple[str, ...], headers: dict[str, str], clients: int, seconds: float
) -> Received:
    address, loop = urlsplit(url), asyncio.get_running_loop()
    requests = [f"GET {address.path}{target} HTTP/1.1\r\n{_head(url, headers)}\r\n".encode() for target in targets]
    waiting, began = cycle(requests), time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Receiver(waiting), address.hostname, address.port) for _ in range(clients)
    ]
    await asyncio.sleep(seconds)
    wall_s = time.perf_counter() - began
    receivers = [receiver for _, receiver in made]
    for transport, _ in made:
        transport.abort()
    statuses = {status for one in receivers for status in one.statuses}
    return Received(sum(one.size for one in receivers), wall_s, tuple(sorted(statuses)))


class _Receiver(asyncio.BufferedProtocol):
    """Sends its next request when it has the answer to the last, and keeps nothing of any but the status.

    Every answer needs a `Content-Length`, and its head has to come with the first bytes.
    """

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests, self._buffer, self._missing = requests, bytearray(_PIECE), 0
        self.size, self.statuses = 0, set[int]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(next(self._requests))

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        self.size += count
        if not self._missing:
            head, _, body = bytes(self._buffer[:count]).partition(b"\r\n\r\n")
            self.statuses.add(int(head[9:12]))
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._missing, count = int(length), len(body)
        self._missing -= count
        if not self._missing:
            self._transport.write(next(self._requests))
