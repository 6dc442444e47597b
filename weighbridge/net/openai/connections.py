"""HTTP connections to one service, each of which another thread can close while one waits for it.

A thread that waits for a socket cannot be notified; only shutting the socket down ends the wait at once, and tells the
service that its response is no longer needed. Not here: requests (openai.endpoint).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.request import getproxies

import httpx

from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.pinned_transport import PinnedTransport

_MAX_CONNECT_S = 10.0
_LOOK_S = 0.05


class Connections:
    """Clients of one connection each, lent to one call after another; safe for several threads.

    Args:
        headers: those of every request.
        timeout_s: seconds without a byte after which the service counts as dead; at most 10 for connecting.
        addresses: where it may be; anywhere by default.
    """

    def __init__(self, headers: Mapping[str, str], timeout_s: float, addresses: AddressPolicy | None = None) -> None:
        self._headers = {
            **headers,
            "Accept-Encoding": "identity",
        }  # A small compressed response may expand without limit.
        self._timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _MAX_CONNECT_S))
        self._addresses = addresses or AddressPolicy()
        self._idle: list[_Line] = []
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def take(self, event: threading.Event | None) -> Iterator[httpx.Client]:
        """Lend a client; when the event is set, its connection is closed and a waiting call raises httpx's errors."""
        line = self._idle.pop() if self._idle else self._line()
        with contextlib.ExitStack() as stack:
            stack.callback(self._give_back, line)
            if event is not None:
                stack.enter_context(_watched(line, event))
            yield line.client

    def close(self) -> None:
        """Close the connections that are not in use; the next request opens a new one."""
        while self._idle:
            self._idle.pop().client.close()

    def _line(self) -> _Line:
        # A proxy resolves names itself: there, only the address as it is written can be checked.
        pinned = self._addresses.private is not None and not getproxies()
        return _Line(self._headers, self._timeout, self._context, PinnedTransport(self._addresses) if pinned else None)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()

    def _give_back(self, line: _Line) -> None:
        if line.is_cut:
            line.client.close()
        else:
            self._idle.append(line)


class _Line:
    """An HTTP client with one connection that can be closed from another thread."""

    def __init__(
        self,
        headers: Mapping[str, str],
        timeout: httpx.Timeout,
        context: ssl.SSLContext,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.is_cut = False
        self._stream: Any = None
        self.client = httpx.Client(
            headers=headers,
            timeout=timeout,
            verify=context,
            transport=transport,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            event_hooks={"request": [self._follow]},
        )

    def cut(self) -> None:
        """Close the connection under a waiting call, now or as soon as there is one."""
        self.is_cut = True
        if self._stream is not None:
            with contextlib.suppress(
                OSError
            ):  # The plain socket is shut down, as TLS would first notify the other side.
                socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)

    def _follow(self, request: httpx.Request) -> None:
        request.extensions["trace"] = self._trace

    def _trace(self, event: str, facts: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = facts["return_value"]
            if self.is_cut:
                self.cut()


@contextmanager
def _watched(line: _Line, event: threading.Event) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_S):
            if event.is_set():
                line.cut()
                return

    watching = threading.Thread(target=watch, name="cancel", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


def _close(idle: list[_Line]) -> None:
    for line in idle:
        line.client.close()
