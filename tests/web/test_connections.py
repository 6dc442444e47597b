"""A head has to come in time and in reasonable size; what is being answered meanwhile goes on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import sleep

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from weighbridge.web.connections import TimedConnection
from weighbridge.web.limits import RequestLimits

HOST = b"Host: 127.0.0.1\r\n"


class Hurried(TimedConnection):
    """A connection whose limits a test reaches."""

    head_s, max_head = 0.3, 2_000


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body, `/slow` after longer than a head may take."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message.get("more_body"):
            break
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    limited = RequestLimits(application, 5_000, body_s=0.3)
    served = uvicorn.Server(uvicorn.Config(limited, http=Hurried, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=served.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            served.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with server() as found:
        yield found


def asked(address: tuple[str, int], *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send parts of requests, with a pause between them, and return all that comes until the server closes."""
    with socket.create_connection(address, timeout=20) as client:
        for number, part in enumerate(parts):
            sleep(pause_s if number else 0)
            client.sendall(part)
        received = b""
        while part := client.recv(65_536):
            received += part
        return received


@pytest.mark.parametrize("sent", [b"", b"GET /a HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: "])
def test_half_a_head_is_refused_after_a_while(address: tuple[str, int], sent: bytes) -> None:
    assert asked(address, sent).startswith(b"HTTP/1.1 408 ")


def test_a_head_may_come_in_pieces(address: tuple[str, int]) -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    pieces = [head[at : at + 20] for at in range(0, len(head), 20)]
    assert asked(address, *pieces, pause_s=0.02).startswith(b"HTTP/1.1 200 ")


def test_a_large_head_is_refused(address: tuple[str, int]) -> None:
    answer = asked(address, b"GET / HTTP/1.1\r\n" + HOST, *[b"X-A: " + b"a" * 400 + b"\r\n"] * 6, pause_s=0.02)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_second_request_on_the_connection_has_its_own_time(address: tuple[str, int]) -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = asked(address, head, head, head, b"GET /half", pause_s=0.2)
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert answer.count(b"HTTP/1.1 408 ") == 1


def test_an_answer_is_not_cut_by_half_a_head_behind_it(address: tuple[str, int]) -> None:
    answer = asked(address, b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\nGET /half")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_body_that_does_not_come_is_refused(address: tuple[str, int]) -> None:
    answer = asked(address, b"POST / HTTP/1.1\r\nContent-Length: 10\r\n" + HOST + b"\r\n12345")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come" in answer


def test_a_slow_body_that_comes_is_read(address: tuple[str, int]) -> None:
    head = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 10\r\n" + HOST + b"\r\n"
    assert asked(address, head, *[b"12"] * 5, pause_s=0.1).endswith(b"1212121212")


def test_a_target_may_be_a_whole_url(address: tuple[str, int]) -> None:
    head = b"POST http://127.0.0.1/a HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n" + HOST + b"\r\n1"
    assert asked(address, head).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n1",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
        b"nothing of the kind\r\n\r\n",
    ],
)
def test_what_is_read_in_two_ways_is_refused(address: tuple[str, int], sent: bytes) -> None:
    assert asked(address, sent).startswith(b"HTTP/1.1 400 ")
