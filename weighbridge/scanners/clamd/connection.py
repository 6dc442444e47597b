"""One command to clamd over one connection: a file by descriptor, or a stream of chunks.

The protocol is that of clamd(8): `zFILDES` passes a descriptor over a unix socket, `zINSTREAM` sends chunks with their
length before them. The clamd package sends 1 KiB chunks and supports no descriptors, so it is not used.
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

#: The bytes of a chunk for clamd, at most its StreamMaxLength.
CHUNK_SIZE = 1024 * 1024
#: Timeouts in seconds: for a connection and the version; for a check whether it is alive; for the answer to a scan. The
#: last is longer than the longest scan of a private clamd (daemon.MAX_SCAN_TIME_S), so that its own message arrives.
ASK_TIMEOUT_S, ALIVE_TIMEOUT_S, SCAN_TIMEOUT_S = 30.0, 10.0, 2100.0
_MAX_REPLY = 65_536


@dataclass(frozen=True)
class Address:
    """The address of a clamd: a unix socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address in `unix:/path` or `tcp://host:port`. Raises InvalidConfiguration."""
        if text.startswith("unix:/"):
            return cls(path="/" + text.removeprefix("unix:").lstrip("/"))
        parts = urlsplit(text)
        try:
            if parts.scheme == "tcp" and parts.hostname and parts.port:
                return cls(host=parts.hostname, port=parts.port)
        except ValueError:
            pass
        raise InvalidConfiguration(
            f"“{text}” is not the address of a clamd.", "Write unix:/run/clamav/clamd.ctl or tcp://host:3310."
        )

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"tcp://{self.host}:{self.port}"


@dataclass(frozen=True)
class ScanReply:
    """clamd's answer to a scan.

    Attributes:
        kind: `ok`, `found` or `error`.
        text: the signature's name, or the error's words.
    """

    kind: Literal["ok", "found", "error"]
    text: str = ""


class Connection:
    """A clamd at an address; every call opens its own connection, so threads need no lock.

    Args:
        address: where it listens.
        scan_timeout_s: seconds without an answer to a scan after which it counts as gone; 2 GiB take minutes.
    """

    def __init__(self, address: Address, scan_timeout_s: float = SCAN_TIMEOUT_S) -> None:
        self.address, self._scan_timeout_s = address, scan_timeout_s

    def version(self) -> str:
        """Return clamd's version text, `ClamAV 1.4.6/27700/Thu Oct  1 12:00:00 2026`. Raises ScannerUnavailable."""
        with self._open(ASK_TIMEOUT_S) as link:
            link.sendall(b"zVERSION\0")
            said = _read(link)
        if not said.startswith("ClamAV "):
            raise _gone(self.address, f"it is not a clamd, it says {said[:80]!r}")
        return said

    def alive(self) -> bool:
        """Return whether it answers."""
        try:
            with self._open(ALIVE_TIMEOUT_S) as link:
                link.sendall(b"zPING\0")
                return _read(link) == "PONG"
        except ScannerUnavailable:
            return False

    def scan_descriptor(self, descriptor: int) -> ScanReply:
        """Scan an open file of this machine, whole; unix sockets only. Raises ScannerUnavailable."""
        with self._open(self._scan_timeout_s) as link:
            link.sendall(b"zFILDES\0")
            socket.send_fds(link, [b"\0"], [descriptor])
            return _parse(_read(link))

    def scan_stream(self, chunks: Iterable[bytes]) -> ScanReply:
        """Scan a stream, whole; clamd refuses one above its StreamMaxLength.

        Raises:
            ScannerUnavailable: clamd cannot be reached, died, or sent an invalid reply.
            Exception: as `chunks`.
        """
        link = self._link(self._scan_timeout_s)
        with link:
            going = self._send(link, b"zINSTREAM\0")
            for chunk in chunks:
                for start in range(0, len(chunk), CHUNK_SIZE):
                    part = memoryview(chunk)[start : start + CHUNK_SIZE]
                    going = going and self._send(link, struct.pack("!L", len(part))) and self._send(link, part)
                if not going:
                    break
            if going:
                self._send(link, b"\0\0\0\0")
            with self._wrapped():
                return _parse(_read(link))

    def _send(self, link: socket.socket, content: bytes | memoryview) -> bool:
        """Send content; return False when clamd closed the connection, as it does after answering too long a stream."""
        with self._wrapped():
            try:
                link.sendall(content)
            except (BrokenPipeError, ConnectionResetError):
                return False
        return True

    @contextmanager
    def _open(self, timeout_s: float) -> Iterator[socket.socket]:
        with self._link(timeout_s) as link, self._wrapped():
            yield link

    def _link(self, timeout_s: float) -> socket.socket:
        with self._wrapped():
            if not self.address.path:
                link = socket.create_connection((self.address.host, self.address.port), ASK_TIMEOUT_S)
                link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link.settimeout(timeout_s)
                return link
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.settimeout(timeout_s)
            try:
                link.connect(self.address.path)
            except OSError:
                link.close()
                raise
            return link

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        """Convert socket errors and invalid replies to ScannerUnavailable."""
        try:
            yield
        except (OSError, _Nonsense) as error:
            raise _gone(self.address, str(error)) from error


class _Nonsense(Exception):
    """A reply that is not clamd's."""


def _read(link: socket.socket) -> str:
    """Return the reply up to its NUL; raise ConnectionError for a connection that ends before it."""
    reply = bytearray()
    while not reply.endswith(b"\0"):
        part = link.recv(4096)
        if not part or len(reply) > _MAX_REPLY:
            raise ConnectionError("it hung up without an answer")
        reply += part
    return reply[:-1].decode(errors="replace").strip()


def _parse(reply: str) -> ScanReply:
    """Return the reply in `stream: OK`, `fd[9]: Name FOUND` or `… ERROR`; raise _Nonsense, never clean, otherwise."""
    _, separator, rest = reply.partition(": ")
    if separator and rest == "OK":
        return ScanReply("ok")
    if separator and rest.endswith(" FOUND"):
        return ScanReply("found", rest.removesuffix(" FOUND"))
    if reply.endswith("ERROR"):
        return ScanReply("error", (rest or reply).removesuffix("ERROR").strip() or "it did not say which error")
    raise _Nonsense(f"it answered {reply[:80]!r}")


def _gone(address: Address, why: str) -> ScannerUnavailable:
    return ScannerUnavailable(
        f"clamd at {address} does not serve: {why}.",
        "Run it again; if it is your own, start it, or unset WEIGHBRIDGE_CLAMD to have a private one started.",
        address=str(address),
    )
