"""Peers: the address that a request comes from, written in one way.

A socket for IPv6 and IPv4 at once shows an IPv4 address as one of IPv6, `::ffff:192.0.2.1`; limits of an address, and
the proxies that are believed, are about `192.0.2.1`. Not here: which proxies are believed (web.serving).
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

#: Characters that an address may have: an address of IPv6 with a zone, or what a proxy says in place of one.
_LONGEST = 100


def address_of(request: HTTPConnection) -> str:
    """Return the address that a request comes from; behind a proxy that is believed, the one that the proxy names."""
    client = request.scope.get("client")
    return _plain(client[0][:_LONGEST]) if client else ""


class PlainPeers:
    """Gives the application the address of a peer as one of IPv4 where it is one.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope.get("client"):
            host, port = scope["client"]
            scope = {**scope, "client": (_plain(host[:_LONGEST]), port)}
        await self._app(scope, receive, send)


@lru_cache(4096)
def _plain(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = found.ipv4_mapped if found.version == 6 else None
    return str(mapped or address)
