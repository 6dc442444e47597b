"""Serving: one socket, and one or several processes that answer on it, until they are told to stop.

Not here: what is served (web.app).
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from weighbridge.config.settings import Settings
from weighbridge.errors import UsageError
from weighbridge.web.app import create_app
from weighbridge.web.forwarded import BelievedProxies
from weighbridge.web.peers import PlainPeers
from weighbridge.web.stopping import stop_without
from weighbridge.web.zero_copy import FileConnection

#: Seconds that requests may take to end after the server was told to stop.
GRACE_S = 10
_BACKLOG = 2048
#: Seconds that one of several processes may take to start or to answer its parent, before it is replaced: a busy
#: machine takes a while to import everything.
_START_S = 60


class _Server(uvicorn.Server):
    """A server for which a signal to stop is no failure: the process then ends like any other that is done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


class _Processes(Multiprocess):
    """Several processes, whose port is closed as soon as they are told to stop: nobody waits for an answer in vain."""

    def terminate_all(self) -> None:
        """Tell all of them to stop."""
        for one in self.sockets:
            one.close()
        super().terminate_all()


def serve(settings: Settings, workers: int, announce: Callable[[str], None], prepare: Callable[[], None]) -> None:
    """Serve until a signal asks to stop; requests that are under way may end first.

    Args:
        settings: of the process; `serve_host` and `serve_port` say where.
        workers: processes that share the port.
        announce: is called with the address once requests are accepted.
        prepare: is called first in each of several processes: they begin without what this one has set, as its log.

    Raises:
        UsageError: the address cannot be used.
    """
    listening = _listen(settings.serve_host, settings.serve_port)
    announce(_address(listening))
    with listening:
        if workers == 1:
            _Server(_config(settings, partial(_app, settings), workers)).run([listening])
            return
        with tempfile.TemporaryDirectory() as counted:
            app = partial(_app_of_several, settings, workers, os.getpid(), Path(counted), prepare)
            _Processes(_config(settings, app, workers), [listening]).run()


def _config(settings: Settings, app: Callable[[], ASGIApp], workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=True,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # The application reads them.
        ws="none",
        http=FileConnection,
        timeout_graceful_shutdown=GRACE_S,
        timeout_worker_healthcheck=_START_S,
    )


def _app_of_several(
    settings: Settings, workers: int, parent: int, counted: Path, prepare: Callable[[], None]
) -> ASGIApp:
    """Return the application of one of several processes, which their parent starts."""
    prepare()
    stop_without(parent)
    return _app(settings, workers, counted)


def _app(settings: Settings, workers: int = 1, counted: Path | None = None) -> ASGIApp:
    """Return the application, which believes the proxies of the settings."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # Its warnings are about what strangers send.
    app = create_app(settings, workers, counted)
    if not settings.serve_proxies:
        return app
    return PlainPeers(BelievedProxies(app, list(settings.serve_proxies)))  # type: ignore[arg-type]


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = _is_every_address(host) and socket.has_dualstack_ipv6()
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
        # Connections inherit it. asyncio sets it for sockets made with a protocol, which this one is not: without it, a
        # body that follows its head waits 40 ms for the client's word on the head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"The server cannot listen on {host}, port {port}: {reason}.",
            "Choose another --port, or 0 for a free one, or another --host.",
            host=host,
            port=port,
        ) from error


def _is_every_address(host: str) -> bool:
    """Return whether a host is `::`, which stands for the addresses of IPv4 as well."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == 6 and address.is_unspecified


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
