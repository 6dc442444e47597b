"""What a reverse proxy says of the request that it hands on, from proxies that are believed alone.

uvicorn reads `X-Forwarded-For` and `X-Forwarded-Proto`. Here `Forwarded` (RFC 7239) is read as well, where the proxy
sends no `X-Forwarded-…`, and `X-Forwarded-Host`: the name by which the client called. Of several values the last one
counts, which the nearest proxy adds: a client may write what it likes before it. Not here: which names are the server's
own (web.hosts), and which proxies are believed (config.settings).
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

#: Where a scope has the name, and perhaps the port, by which the client called.
CALLED = "weighbridge.called"
_NAME = re.compile(r"[A-Za-z0-9._\[\]:-]{1,255}")
_PAIR = re.compile(r'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^\s";,]*)\s*(?:;|$)')
_ELEMENT = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*")+')
_X_FORWARDED = {"for": b"x-forwarded-for", "proto": b"x-forwarded-proto", "host": b"x-forwarded-host"}


class BelievedProxies(ProxyHeadersMiddleware):
    """Gives the application the address, the scheme and the name that a proxy names which is believed."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        client = scope.get("client")
        if scope["type"] == "http" and client and client[0] in self.trusted_hosts:
            headers = _named(scope["headers"])
            called = [value for name, value in headers if name == b"x-forwarded-host"]
            scope = {**scope, "headers": headers}
            last = called[-1].decode("latin-1").rpartition(",")[2].strip() if called else ""
            if _NAME.fullmatch(last):
                scope[CALLED] = last
        await super().__call__(scope, receive, send)


def called_by(request: Request) -> str:
    """Return the name, and perhaps the port, by which a client called the server."""
    return str(request.scope.get(CALLED) or request.headers.get("host") or request.url.netloc)


def _named(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers with what `Forwarded` says as `X-Forwarded-…`; as they are where the proxy sends one of these.

    A proxy that sends `X-Forwarded-…` lets the client's own `Forwarded` through.
    """
    names = {name for name, _ in headers}
    if b"forwarded" not in names or names & set(_X_FORWARDED.values()):
        return headers
    text = ",".join(value.decode("latin-1") for name, value in headers if name == b"forwarded")
    elements = [dict(_pairs(element)) for element in _ELEMENT.findall(text)]
    said = [("for", ", ".join(one.get("for", "unknown") for one in elements))]
    said += [(key, elements[-1][key]) for key in ("proto", "host") if elements and key in elements[-1]]
    return [*headers, *((_X_FORWARDED[key], value.encode("latin-1")) for key, value in said)]


def _pairs(element: str) -> list[tuple[str, str]]:
    """Return the pairs of one element of `Forwarded`, with quotes taken off."""
    found = []
    for key, value in _PAIR.findall(element):
        text = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        found.append((key.lower(), text))
    return found
