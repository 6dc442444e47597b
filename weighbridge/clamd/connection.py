"""One question to clamd over one connection: a file by descriptor, or a stream of chunks.

The protocol is clamd(8)'s: `zFILDES` hands over a descriptor on a unix socket, `zINSTREAM` sends chunks with their
length before them. The clamd package sends 1 KiB chunks and knows no descriptors, so scans are spoken here.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from weighbridge.errors import InvalidConfiguration, ScannerUnavailable

#: Bytes of a chunk sent to clamd; it must not exceed its StreamMaxLength.
CHUNK_SIZE = 1024 * 1024
_MAX_REPLY = 65_536


@dataclass(frozen=True)
class Address:
    """Where a clamd listens: a unix socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `unix:/path` or `tcp://host:port`. Raises InvalidConfiguration."""
        if text.startswith("unix:/"):
            return cls(path="/" + text.removeprefix("unix:").lstrip("/"))
        parts = urlsplit(text)
        try:
            if parts.scheme == "tcp" and parts.hostname and parts.port:
                return cls(host=parts.hostname, port=parts.port)
        except ValueError:
            pass
        raise InvalidConfiguration(
            f"“{text}” is no address of a clamd.", "Write unix:/run/clamav/clamd.ctl or tcp://host:3310."
        )

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"tcp://{self.host}:{self.port}"


@dataclass(frozen=True)
class Reply:
    """clamd's answer to a scan.

    Attributes:
        kind: `ok`, `found` or `error`.
        text: the signature's name, or the error's words.
    """

    kind: Literal["ok", "found", "error"]
    text: str = ""


class Connection:
    """A clamd at an address; every call opens a connection of its own, so threads need no lock.

    Args:
        address: where it listens.
        timeout_s: seconds without an answer after which it counts as gone; a scan of 2 GiB takes minutes.
    """

    def __init__(self, address: Address, timeout_s: float = 900.0) -> None:
        self.address, self._timeout_s = address, timeout_s

    def version(self) -> str:
        """Return clamd's own words, `ClamAV 1.4.6/27700/Thu Oct  1 12:00:00 2026`. Raises ScannerUnavailable."""
        with self._open() as link:
            link.sendall(b"zVERSION\0")
            return _read(link)

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            with self._open() as link:
                link.settimeout(5)
                link.sendall(b"zPING\0")
                return _read(link) == "PONG"
        except ScannerUnavailable:
            return False

    def scan_descriptor(self, descriptor: int) -> Reply:
        """Scan an open file of this machine, whole; unix sockets only. Raises ScannerUnavailable."""
        with self._open() as link:
            link.sendall(b"zFILDES\0")
            socket.send_fds(link, [b"\0"], [descriptor])
            return _parse(_read(link))

    def scan_stream(self, chunks: Iterable[bytes]) -> Reply:
        """Scan a stream, whole; clamd refuses one above its StreamMaxLength. Raises ScannerUnavailable."""
        with self._open() as link:
            try:
                link.sendall(b"zINSTREAM\0")
                for chunk in chunks:
                    for start in range(0, len(chunk), CHUNK_SIZE):
                        part = memoryview(chunk)[start : start + CHUNK_SIZE]
                        link.sendall(struct.pack("!L", len(part)))
                        link.sendall(part)
                link.sendall(b"\0\0\0\0")
            except (BrokenPipeError, ConnectionResetError):
                # It answers and hangs up when the stream is longer than it takes; the answer says why.
                return _parse(_read(link))
            return _parse(_read(link))

    def _connect(self) -> socket.socket:
        if not self.address.path:
            return socket.create_connection((self.address.host, self.address.port), self._timeout_s)
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(self._timeout_s)
        try:
            link.connect(self.address.path)
        except OSError:
            link.close()
            raise
        return link

    @contextmanager
    def _open(self) -> Iterator[socket.socket]:
        try:
            link = self._connect()
        except OSError as error:
            raise _gone(self.address, str(error)) from error
        with link:
            try:
                yield link
            except OSError as error:
                raise _gone(self.address, str(error)) from error


def _read(link: socket.socket) -> str:
    """Return the reply up to its NUL; a connection that ends before it is no reply."""
    reply = bytearray()
    while not reply.endswith(b"\0"):
        part = link.recv(4096)
        if not part or len(reply) > _MAX_REPLY:
            raise ConnectionError("it hung up without an answer")
        reply += part
    return reply[:-1].decode(errors="replace").strip()


def _parse(reply: str) -> Reply:
    """Read `stream: OK`, `fd[9]: Name FOUND` or `… ERROR`; anything else is an error, never clean."""
    subject, _, rest = reply.partition(": ")
    if rest == "OK":
        return Reply("ok")
    if rest.endswith(" FOUND"):
        return Reply("found", rest.removesuffix(" FOUND"))
    return Reply("error", (rest or subject).removesuffix(" ERROR").strip() or "an empty answer")


def _gone(address: Address, why: str) -> ScannerUnavailable:
    return ScannerUnavailable(
        f"clamd at {address} cannot be reached: {why}.",
        "Start it, or unset WEIGHBRIDGE_CLAMD to let Weighbridge start one of its own.",
        address=str(address),
    )
