"""Transfers by the kernel: large files and parts of them arrive whole, or end as an error; nothing is left behind."""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.web.mirror.conftest import Mirrored, digest_of
from weighbridge.store.reading import PIECE, SPAN

pytestmark = pytest.mark.xdist_group("web")
LARGE = random.Random(11).randbytes(2 * SPAN + PIECE + 12345)
NAME = "transfers/large"
PATH = f"/{NAME}/resolve/main/model.bin"
SENT = 'weighbridge_sent_bytes_total{part="mirror"}'
#: Transfers that a client aborts; with LOAD_TESTS=large so many as a busy day has.
ABORTED = 10_000 if os.environ.get("LOAD_TESTS") == "large" else 100


@pytest.fixture(scope="module", autouse=True)
def _model(mirror: Mirrored) -> None:
    mirror.add(NAME, {"model.bin": LARGE})
    assert mirror.get(PATH).content == LARGE  # It is hashed, so that the kernel may send it from now on.


def test_all_of_a_large_file(mirror: Mirrored) -> None:
    with httpx.Client(trust_env=False) as client:
        for _ in range(2):  # Both on one connection.
            response = client.get(f"{mirror.url}{PATH}")
            assert (response.status_code, response.content == LARGE) == (200, True)


@pytest.mark.parametrize("start", [0, 1, PIECE, SPAN - 1, SPAN + PIECE])
@pytest.mark.parametrize("length", [PIECE, PIECE + 1, SPAN + PIECE + 1])
def test_a_large_part_of_it(mirror: Mirrored, start: int, length: int) -> None:
    response = mirror.get(PATH, Range=f"bytes={start}-{start + length - 1}")
    assert (response.status_code, response.content == LARGE[start : start + length]) == (206, True)


def test_several_large_parts(mirror: Mirrored) -> None:
    response = mirror.get(PATH, Range=f"bytes=0-{SPAN},{SPAN + 10}-{SPAN + 20}")
    assert response.headers["content-length"] == str(len(response.content))
    assert LARGE[: SPAN + 1] in response.content
    assert LARGE[SPAN + 10 : SPAN + 21] in response.content


def test_what_was_sent_is_counted(mirror: Mirrored) -> None:
    def sent() -> float:
        lines = mirror.served.client.get(f"{mirror.served.url.removesuffix('/api')}/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(SENT)), 0.0)

    before = sent()
    mirror.get(PATH)
    mirror.head(PATH)
    assert sent() - before == len(LARGE)


def begun(mirror: Mirrored, path: str = PATH) -> socket.socket:
    """Return a connection on which a transfer has begun, which this client reads slowly."""
    host, port = mirror.served.url.split("/")[2].split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect((host, int(port)))
    connection.sendall(f"GET /huggingface{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert connection.recv(1024)
    return connection


def reset(connection: socket.socket) -> None:
    """End a connection at once, as the kernel does for a client that was killed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_aborted_transfers_leave_nothing_open(mirror: Mirrored) -> None:
    process = psutil.Process(mirror.served.process.pid)
    most = process.num_fds() + ABORTED // 3  # A thread may open the catalog meanwhile.
    for number in range(ABORTED):
        (reset if number % 2 else socket.socket.close)(begun(mirror))
    deadline = time.monotonic() + 60
    while process.num_fds() > most and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.num_fds() <= most
    assert mirror.get(PATH).content == LARGE
    assert not [line for line in mirror.served.said if "Traceback" in line], "\n".join(mirror.served.said[-40:])


def test_readers_that_are_slow_stop_nobody(mirror: Mirrored) -> None:
    slow = [begun(mirror) for _ in range(128)]
    try:
        for _ in range(3):
            for connection in slow:
                assert connection.recv(1)
            assert mirror.get(PATH).content == LARGE
            assert mirror.head(PATH).status_code == 200
    finally:
        for connection in slow:
            connection.close()


def _until_closed(connection: socket.socket, most: int = 2**62) -> int:
    """Return how many bytes come before the server closes the connection, or before there are as many as expected."""
    received = 0
    with connection:
        while received < most - 1024 and (chunk := connection.recv(1 << 20)):
            received += len(chunk)
    return received


@pytest.mark.parametrize("damage", ["shorter", "other bytes"])
def test_a_file_that_is_damaged_on_the_way_does_not_arrive(mirror: Mirrored, damage: str) -> None:
    content = damage.encode() + bytes(4 * SPAN)
    name = f"transfers/{damage.replace(' ', '-')}"
    mirror.add(name, {"model.bin": content})
    path = f"/{name}/resolve/main/model.bin"
    assert mirror.get(path).content == content
    connection = begun(mirror, path)
    _damage(mirror.store.path(digest_of(content)), damage)
    assert _until_closed(connection) < len(content) - 1024


@pytest.mark.parametrize("damaged", [False, True])
def test_a_file_that_is_hashed_beside_its_transfer(mirror: Mirrored, damaged: bool) -> None:
    content = bytes([damaged]) + random.Random(3).randbytes(1024**2) * 70
    name = f"transfers/beside-{damaged}"
    mirror.add(name, {"model.bin": content})
    if damaged:
        _damage(mirror.store.path(digest_of(content)), "other bytes")
    connections = [begun(mirror, f"/{name}/resolve/main/model.bin") for _ in range(3)]
    for connection in connections:
        received = _until_closed(connection, len(content))
        assert (received < len(content) - 1024) == damaged


def _damage(path: Path, how: str) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        if how == "shorter":
            file.truncate(SPAN)
        else:
            file.seek(-1, os.SEEK_END)
            file.write(b"!")
