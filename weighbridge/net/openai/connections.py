"""HTTP connections to one service, each of which can be cut while somebody waits at it.

Who waits for a socket hears nothing meanwhile; only shutting the socket down ends that at once, and the service then
knows that nobody wants its answer any more. Not here: what is asked (openai.endpoint).
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
        headers: of every request.
        timeout_s: seconds without a byte after which the service counts as dead; 10 at most for connecting.
        addresses: where it may lie; anywhere by default.
    """

    def __init__(self, headers: Mapping[str, str], timeout_s: float, addresses: AddressPolicy | None = None) -> None:
        self._headers = {**headers, "Accept-Encoding": "identity"}  # Small answers that unpack to huge ones are none.
        self._timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _MAX_CONNECT_S))
        self._addresses = addresses or AddressPolicy()
        self._idle: list[_Line] = []
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def take(self, event: threading.Event | None) -> Iterator[httpx.Client]:
        """Lend a client; when the event is set, its connection is cut and what waits there raises httpx's errors."""
        line = self._idle.pop() if self._idle else self._line()
        with contextlib.ExitStack() as stack:
            stack.callback(self._give_back, line)
            if event is not None:
                stack.enter_context(_watched(line, event))
            yield line.client

    def close(self) -> None:
        """Close what nobody uses now; whoever asks again gets a new one."""
        while self._idle:
            self._idle.pop().client.close()

    def _line(self) -> _Line:
        # A proxy resolves names itself: there, only the judgement of the address as it is written is left.
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
    """A client of one connection, which it remembers."""

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
        """End whatever waits at the connection, now or as soon as there is one."""
        self.is_cut = True
        if self._stream is not None:
            with contextlib.suppress(OSError):  # The plain socket's, as TLS would first take leave of the other side.
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
