"""The server starts, says where it is, and stops in order."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.services.weighbridge import Served, serving
from weighbridge.domain.access import looks_like_key
from weighbridge.web.failures import LIMIT
from weighbridge.web.serving import _listen

pytestmark = pytest.mark.xdist_group("web")


def test_it_says_where_it_is_and_ends_well(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.url.startswith("http://127.0.0.1:")
        assert served.get("/models").json() == {"items": [], "next": None}
        assert served.stop() == 0
        first, *others = served.said
        assert others == [f"Serving at {served.url}"]
        assert looks_like_key(first.rpartition(" ")[2]), "a catalog without a key gets one"
    with serving(tmp_path) as served:
        assert served.said == [f"Serving at {served.url}"]


def test_several_processes_share_one_port(tmp_path: Path) -> None:
    with serving(tmp_path, None, "--workers", "2") as served:
        assert {served.get("/models").status_code for _ in range(20)} == {200}
        wrong = {"Authorization": "Bearer no", "Connection": "close"}
        statuses = [served.get("/models", headers=wrong).status_code for _ in range(2 * LIMIT)]
        assert LIMIT // 2 <= statuses.count(401) <= LIMIT, "each of them allows its part"
        assert served.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_under_way_is_answered_and_no_new_one_waits(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path, None, "--workers", workers) as served:
        host, port = served.url.split("/")[2].split(":")
        body = b'{"person": "Ada"}'
        headers = ("Host: localhost", f"Content-Length: {len(body)}", "Expect: 100-continue")
        with socket.create_connection((host, int(port)), timeout=30) as begun:
            begun.sendall("\r\n".join(("PUT /api/models/none HTTP/1.1", *headers, "", "")).encode())
            assert begun.recv(4096).startswith(b"HTTP/1.1 100 ")
            served.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 30
            while _listens(host, int(port)):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert served.process.poll() is None
            begun.sendall(body)
            answer = b"".join(iter(lambda: begun.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert served.process.wait(30) == 0


def _listens(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


def test_several_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    with serving(tmp_path, None, "--workers", "2") as served:
        port = served.url.split("/")[2].partition(":")[2]
        assert served.get("/models").status_code == 200
        served.stop(signal.SIGKILL)
        deadline = time.monotonic() + 60
        while True:
            try:
                with socket.create_server(("127.0.0.1", int(port))):
                    break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no sockets for both")
def test_every_address_of_ipv6_is_every_address_of_ipv4_too(tmp_path: Path) -> None:
    environment = {"WEIGHBRIDGE_API_READING": "open", "WEIGHBRIDGE_SERVE_PROXIES": "127.0.0.1"}
    with serving(tmp_path, environment, "--host", "::") as served:
        port = served.url.partition("]:")[2]

        def status(host: str, **headers: str) -> int:
            return served.client.get(f"http://{host}:{port}/models", headers=headers).status_code

        assert (status("[::1]"), status("127.0.0.1")) == (200, 200)
        for number in range(LIMIT + 1):
            wrong = {"Authorization": "Bearer no", "X-Forwarded-For": f"192.0.2.{number}"}
            assert status("127.0.0.1", **wrong) == 401, "the proxy is believed: its address is one of IPv4"
        mapped = [status("127.0.0.1", **wrong | {"X-Forwarded-For": "::ffff:192.0.2.99"}) for _ in range(LIMIT)]
        plain = status("127.0.0.1", **wrong | {"X-Forwarded-For": "192.0.2.99"})
        assert ({*mapped}, plain) == ({401}, 429), "both are one address"
        assert status("[::1]", Authorization="Bearer no") == 401


def test_the_path_of_the_api_is_a_setting(tmp_path: Path) -> None:
    with serving(tmp_path, {"WEIGHBRIDGE_API_PREFIX": "/registry/v1"}) as served:
        assert served.url.endswith("/registry/v1")
        assert served.get("/models").status_code == 200
        assert served.get("/models/org/name").json()["type"] == "urn:weighbridge:problem:not-in-catalog"


def test_answers_do_not_wait_for_a_word_from_the_client() -> None:
    """Nagle's algorithm would hold a body back for 40 ms; connections inherit what the listening socket has."""
    with _listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_many_at_once(served: Served) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(served.get("/models").status_code)) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 64
