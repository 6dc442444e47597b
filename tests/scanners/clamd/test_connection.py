"""clamd's protocol: what a real clamd answers, and what is taken for an answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.clamd import SMALL_LIMIT, clamd, eicar, small_clamd
from weighbridge.errors import InvalidConfiguration, ScannerUnavailable
from weighbridge.scanners.clamd.connection import Address, Connection, ScanReply
from weighbridge.scanners.clamd.daemon import Daemon

__all__ = ["clamd", "small_clamd"]


@contextmanager
def answering(answer: bytes) -> Iterator[Connection]:
    """Yield a connection to a server that reads a little, says something and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as link:
                link.recv(16)
                link.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Connection(Address(host="127.0.0.1", port=server.getsockname()[1]))
        thread.join()


def test_streams_are_scanned(clamd: Daemon) -> None:
    connection = clamd.connection()
    assert connection.scan_stream([b"clean", eicar()]).kind == "found"
    assert connection.scan_stream([b"clean"]) == ScanReply("ok")
    assert connection.scan_stream([]) == ScanReply("ok")


def test_a_descriptor_is_scanned(clamd: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(eicar())
    with open(tmp_path / "file", "rb") as file:
        assert clamd.connection().scan_descriptor(file.fileno()).kind == "found"


@pytest.mark.parametrize("size", [SMALL_LIMIT + 1, 50 * SMALL_LIMIT])
def test_a_stream_that_is_too_long_is_an_error(small_clamd: tuple[Daemon, Address], size: int) -> None:
    daemon, tcp = small_clamd
    for connection in (daemon.connection(), Connection(tcp)):
        reply = connection.scan_stream(b" " * 10_000 for _ in range(size // 10_000 + 1))
        assert reply == ScanReply("error", "INSTREAM size limit exceeded.")


@pytest.mark.parametrize(
    "answer", [b"", b"stream: OK", b"OK\0", b"HTTP/1.1 200 OK\r\n\r\n\0", b"stream: \0", b"\0", b"UNKNOWN COMMAND\0"]
)
def test_nonsense_is_never_clean(answer: bytes) -> None:
    with answering(answer) as connection, pytest.raises(ScannerUnavailable) as error:
        connection.scan_stream([b"content"])
    assert error.value.retryable


def test_a_server_that_is_no_clamd_is_told() -> None:
    with (
        answering(b"220 mail.example ESMTP\r\n\0") as connection,
        pytest.raises(ScannerUnavailable, match="not a clamd"),
    ):
        connection.version()


def test_what_the_stream_raises_is_no_fault_of_clamd(clamd: Daemon) -> None:
    def broken() -> Iterator[bytes]:
        yield b"content"
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        clamd.connection().scan_stream(broken())


@pytest.mark.parametrize("address", ["unix:/nowhere/clamd.sock", "tcp://127.0.0.1:1"])
def test_nobody_there_is_told(address: str) -> None:
    connection = Connection(Address.parse(address))
    assert not connection.alive()
    with pytest.raises(ScannerUnavailable) as error:
        connection.version()
    assert error.value.retryable
    assert address in str(error.value)


@pytest.mark.parametrize("text", ["/run/clamd", "tcp://host", "http://host:1", "tcp://host:x"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(InvalidConfiguration):
        Address.parse(text)
