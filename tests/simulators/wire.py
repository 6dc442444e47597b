"""A wire to a real server of this machine that remembers what is asked over it, and alters or cuts what is answered."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Wire:
    """Passes bytes between clients and one server; a context manager.

    Attributes:
        requests: the head of every request, as it was sent.
        replace: bytes of answers and what takes their place, of the same length; None for none.
        cut_after: bytes of all answers after which every connection is closed, once; None for never.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.requests: list[str] = []
        self.replace: tuple[bytes, bytes] | None = None
        self.cut_after: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._close_all()

    def asked(self, method: str) -> list[str]:
        """The heads of the requests of one method."""
        return [head for head in self.requests if head.startswith(f"{method} ")]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(65_536):
                self.requests.append(piece.decode("latin-1"))
                server.sendall(piece)
        self._close(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(65_536):
                if self._is_cut(len(piece)):
                    self._close_all()
                    return
                client.sendall(piece.replace(*self.replace) if self.replace else piece)
        self._close(client, server)

    def _is_cut(self, size: int) -> bool:
        with self._lock:
            if self.cut_after is None:
                return False
            self.cut_after -= size
            if self.cut_after > 0:
                return False
            self.cut_after = None
            return True

    def _close_all(self) -> None:
        with self._lock:
            sockets = tuple(self._open)
        self._close(*sockets)

    def _close(self, *sockets: socket.socket) -> None:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        with self._lock:
            self._open -= set(sockets)
