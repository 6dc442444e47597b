"""A server that trickles, in the head of its answer or in a document, is not listened to for ever."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product

import pytest

from weighbridge.config.settings import Settings
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import RegistryUnavailable, SourceError
from weighbridge.net.retrying import Retrying
from weighbridge.net.settings import SourceSettings
from weighbridge.net.transfer import Transfer
from weighbridge.registries import REGISTRIES
from weighbridge.registries.mlflow_session import load_mlflow
from weighbridge.sources import open_source

TIMEOUT_S = 0.1
#: What a server begins with, and what it then sends again and again, always in time.
TRICKLES = {
    "a head that is never whole": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a letter of a head": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "interim answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"{"),
    "a chunked body": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
    "what ends a chunked body": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
}
ONCE = Retrying(attempts=1)
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def trickling(begin: bytes, again: bytes, answered: int = 0) -> Iterator[str]:
    """Yield the address of a server that answers some requests of a connection well and trickles then."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            for _ in range(answered):
                connection.recv(65536)
                connection.sendall(WHOLE)
            connection.recv(65536)
            connection.sendall(begin)
            while not ended.wait(TIMEOUT_S / 5):
                connection.sendall(again)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)


def ends(ask: Callable[[], object]) -> None:
    """Ask in a thread of its own: what would wait for ever is a failure of the test, not its end."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            ask()
        except (SourceError, RegistryUnavailable) as error:
            raised.append(error)

    asking = threading.Thread(target=work, daemon=True)
    asking.start()
    asking.join(20)
    assert not asking.is_alive()
    assert raised


@pytest.mark.parametrize("answered", [0, 1], ids=["first", "reused"])
@pytest.mark.parametrize("trickle", TRICKLES.values(), ids=TRICKLES)
def test_a_question_ends(trickle: tuple[bytes, bytes], answered: int) -> None:
    with trickling(*trickle, answered) as url:
        transfer = Transfer(timeout_s=TIMEOUT_S, max_redirects=0, retrying=ONCE)
        for _ in range(answered):
            assert transfer.read(url, accept="*/*").content == b"{}"
        ends(lambda: transfer.read(url, accept="*/*"))


@pytest.mark.parametrize("trickle", list(TRICKLES.values())[:3], ids=list(TRICKLES)[:3])
def test_a_file_whose_answer_never_begins_ends(trickle: tuple[bytes, bytes]) -> None:
    def take() -> None:
        with Transfer(timeout_s=TIMEOUT_S, max_redirects=0).stream(url):
            pass

    with trickling(*trickle) as url:
        ends(take)


@pytest.mark.parametrize(
    ("uri", "trickle"),
    [
        *product(("hf:org/name", "pypi:tiny", "mlflow:tiny/1", "ollama:tiny"), ("a letter of a head", "a body")),
        *product(("s3://bucket/tiny",), TRICKLES),
        *product(("git+{}/tiny.git",), TRICKLES),
    ],
)
def test_a_source_ends(uri: str, trickle: str) -> None:
    with trickling(*TRICKLES[trickle]) as url:
        ref = ModelRef.parse(uri.format(url))
        source = open_source(ref.kind, SourceSettings(endpoint=url, timeout_s=TIMEOUT_S, retrying=ONCE))
        ends(lambda: source.resolve(ref))


@pytest.mark.parametrize("trickle", ["a letter of a head", "a body", "what ends a chunked body"])
def test_a_registry_ends(trickle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    load_mlflow()
    with trickling(*TRICKLES[trickle]) as url:
        settings = Settings(mlflow_tracking_uri=url, timeout_s=TIMEOUT_S)
        ends(REGISTRIES["mlflow"](settings).prepare)


def test_what_is_in_time_comes_whole() -> None:
    """Longer than any deadline, as a file may take: only its head has one."""
    begin = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with trickling(begin, b"x") as url, Transfer(timeout_s=TIMEOUT_S, max_redirects=0).stream(url) as stream:
        until, received = time.monotonic() + 6 * TIMEOUT_S, 0
        for chunk in stream.chunks:
            received += len(chunk)
            if time.monotonic() > until:
                break
        assert received > 5
