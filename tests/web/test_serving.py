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
        assert served.stop(signal.SIGINT) == 0


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


def test_the_path_of_the_api_is_a_setting(tmp_path: Path) -> None:
    with serving(tmp_path, {"WEIGHBRIDGE_API_PREFIX": "/registry/v1"}) as served:
        assert served.url.endswith("/registry/v1")
        assert served.get("/models").status_code == 200
        assert served.get("/models/org/name").json()["type"] == "urn:weighbridge:problem:not-in-catalog"


def test_many_at_once(served: Served) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(served.get("/models").status_code)) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 64
