"""A wire that is cut: a TCP proxy that closes every connection after a given number of bytes from the server."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_PIECE = 256 * 1024


class CutWire:
    """Passes bytes between clients and one server on this machine.

    Args:
        port: the port of the server.
        cut_at: bytes from the server after which all connections are closed, once; None for never.
    """

    def __init__(self, port: int, cut_at: int | None = None) -> None:
        self._port, self._cut_at = port, cut_at
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.received = self.after_cut = 0
        self.cut = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._close_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_PIECE):
                if counted and self._count(len(chunk)):
                    return
                target.sendall(chunk)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int) -> bool:
        """Count bytes of the server; return whether the wire is cut at them."""
        with self._lock:
            self.received += size
            if self.cut.is_set():
                self.after_cut += size
                return False
            if self._cut_at is None or self.received < self._cut_at:
                return False
            self.cut.set()
        self._close_all()
        return True

    def _close_all(self) -> None:
        with self._lock:
            waiting, self._open = self._open, set()
        for one in waiting:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
