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
#: Seconds within which it takes a connection and says its version; whether it lives; the answer to a scan. The last is
#: longer than our own clamd scans at most (daemon.MAX_SCAN_TIME_S), so that its words come first.
ASK_TIMEOUT_S, ALIVE_TIMEOUT_S, SCAN_TIMEOUT_S = 30.0, 10.0, 2100.0
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
class ScanReply:
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
        scan_timeout_s: seconds without an answer to a scan after which it counts as gone; 2 GiB take minutes.
    """

    def __init__(self, address: Address, scan_timeout_s: float = SCAN_TIMEOUT_S) -> None:
        self.address, self._scan_timeout_s = address, scan_timeout_s

    def version(self) -> str:
        """Return clamd's own words, `ClamAV 1.4.6/27700/Thu Oct  1 12:00:00 2026`. Raises ScannerUnavailable."""
        with self._open(ASK_TIMEOUT_S) as link:
            link.sendall(b"zVERSION\0")
            said = _read(link)
        if not said.startswith("ClamAV "):
            raise _gone(self.address, f"it is no clamd, it says {said[:80]!r}")
        return said

    def alive(self) -> bool:
        """Whether it answers."""
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
            ScannerUnavailable: clamd is not there, went away, or said what no clamd says.
            Exception: whatever `chunks` raises.
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
        """Send; False when it hung up, which it does after the answer to a stream longer than it takes."""
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
        """Turn what a socket raises, and an answer that is none, into ScannerUnavailable."""
        try:
            yield
        except (OSError, _Nonsense) as error:
            raise _gone(self.address, str(error)) from error


class _Nonsense(Exception):
    """An answer that clamd does not give."""


def _read(link: socket.socket) -> str:
    """Return the reply up to its NUL; a connection that ends before it is no reply."""
    reply = bytearray()
    while not reply.endswith(b"\0"):
        part = link.recv(4096)
        if not part or len(reply) > _MAX_REPLY:
            raise ConnectionError("it hung up without an answer")
        reply += part
    return reply[:-1].decode(errors="replace").strip()


def _parse(reply: str) -> ScanReply:
    """Read `stream: OK`, `fd[9]: Name FOUND` or `… ERROR`; raises _Nonsense at anything else: it is never clean."""
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
