"""Messages reach receivers, and nothing else: private addresses, redirects, names that change, answers without end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.net.test_addresses import PUBLIC, Names, names
from tests.simulators.web import WebServer
from weighbridge.config.settings import Settings
from weighbridge.net.webhook_post import Receipt, post

__all__ = ["names"]
HERE = Settings(webhook_networks=("127.0.0.0/8",), webhook_schemes=("http", "https")).webhook_addresses
#: Nothing but a public address, by https or http.
ELSEWHERE = Settings(webhook_schemes=("http", "https")).webhook_addresses


def send(url: str, policy: Any = HERE, timeout_s: float = 5) -> Receipt:
    return post(url, b'{"type": "x"}', {"webhook-id": "msg_1", "content-type": "application/json"}, policy, timeout_s)


@contextmanager
def answering(*parts: bytes, pause_s: float = 0.05) -> Iterator[str]:
    """Serve one connection with these bytes, the last of which are repeated without end; yield its URL."""
    listener, stopped = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                try:
                    for part in parts:
                        client.sendall(part)
                    while parts and not stopped.wait(pause_s):
                        client.sendall(parts[-1])
                except OSError:
                    return
                stopped.wait(30)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        stopped.set()
        thread.join(10)


def test_a_message_is_posted_with_its_headers() -> None:
    with WebServer() as web:
        url = web.put("/hook", b"thanks", status=202)
        assert send(f"{url}?token=1") == Receipt(202)
        (request,) = web.requests
        assert (request.method, request.path, request.body) == ("POST", "/hook?token=1", b'{"type": "x"}')
        assert request.headers["webhook-id"] == "msg_1"
        assert request.headers["host"] == f"127.0.0.1:{web.port}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with WebServer() as web:
        web.put("/inside")
        receipt = send(web.redirect("/hook", web.url("/inside"), status))
        assert (receipt.status, "redirects" in receipt.problem) == (status, True)
        assert [request.path for request in web.requests] == ["/hook"]


def test_what_a_receiver_answers() -> None:
    with WebServer() as web:
        for status in (400, 401, 404, 500, 503):
            receipt = send(web.put("/hook", b"the reason", status=status, headers={"Retry-After": "7"}))
            assert (receipt.status, receipt.wait_s, receipt.is_final) == (status, 7.0, False)
            assert receipt.problem == f"The receiver answers with HTTP {status}."
        assert send(web.put("/hook", status=410)).is_final


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "169.254.170.2", "0.0.0.0", "100.64.0.1"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "localhost."),
    ],
)
def test_private_addresses_get_nothing(host: str) -> None:
    with WebServer() as web:
        receipt = send(f"http://{host}:{web.port}/", ELSEWHERE)
        assert receipt.status is None
        assert any(words in receipt.problem for words in ("not a public address", "not public", "not a URL"))
        assert web.requests == []


def test_a_name_that_changes_after_the_check_reaches_nothing(names: Names) -> None:
    with WebServer() as web:
        names({"rebound.example": [[PUBLIC], ["127.0.0.1"]], "mixed.example": [[PUBLIC, "127.0.0.1"]]})
        names_of_hosts = ("rebound.example", "mixed.example")
        for host in names_of_hosts:
            receipt = send(f"http://{host}:{web.port}/", ELSEWHERE)
            assert (receipt.status, f"{host} leads to an address that is not" in receipt.problem) == (None, True)
            assert "127.0.0.1" not in receipt.problem
        assert web.requests == []


def test_a_name_with_a_public_ipv4_and_a_private_ipv6_address_is_refused(names: Names) -> None:
    names({"both.example": [[PUBLIC, "::1"]]})
    assert "leads to an address that is not public" in send("https://both.example/", ELSEWHERE).problem


def test_schemes_and_hosts_are_the_operator_s() -> None:
    default = Settings().webhook_addresses
    assert "WEIGHBRIDGE" not in send("http://8.8.8.8/", default).problem
    assert "“http:”" in send("http://8.8.8.8/", default).problem
    limited = Settings(webhook_hosts=("*.example.com",)).webhook_addresses
    assert "evil.example are not allowed" in send("https://evil.example/", limited).problem
    for url in ("file:///etc/passwd", "gopher://127.0.0.1/", "ftp://8.8.8.8/"):
        assert send(url, ELSEWHERE).status is None


def test_a_receiver_that_says_nothing_is_given_up() -> None:
    with answering() as url:
        began = time.monotonic()
        receipt = send(url, timeout_s=0.3)
        assert (receipt.status, "nothing for too long" in receipt.problem) == (None, True)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
        (b"H", b"T"),
    ],
)
def test_headers_without_end_are_given_up(parts: tuple[bytes, ...]) -> None:
    with answering(*parts) as url:
        began = time.monotonic()
        assert send(url, timeout_s=0.5).status is None
        assert time.monotonic() - began < 10


def test_a_body_without_end_is_not_read() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n") as url:
        assert send(url) == Receipt(200)


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-hunter2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nhunter2\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://hunter2:x/\r\n\r\n",
    ],
)
def test_nothing_of_an_answer_that_is_not_valid_comes_back(sent: bytes) -> None:
    with answering(sent) as url:
        receipt = send(url, timeout_s=0.5)
        assert (receipt.status, "not HTTP" in receipt.problem, "hunter2" in str(receipt)) == (None, True, False)


def test_a_receiver_where_nothing_listens_is_a_failure() -> None:
    with WebServer() as web:
        closed = web.url("/")
    assert "failed" in send(closed).problem


def test_many_dead_addresses_take_no_longer_than_one(names: Names) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(1)]  # It accepts no more than these.
        names({"dead.example": [[f"127.0.0.{n}" for n in range(2, 60)]]})
        began = time.monotonic()
        receipt = send(f"http://dead.example:{port}/", timeout_s=0.4)
        assert (receipt.status, time.monotonic() - began < 10) == (None, True)
        for one in waiting:
            one.close()
