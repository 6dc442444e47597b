"""Absolute addresses on the host that the client asked: of the next part of a list, and of evidence.

Clients follow a `Link` with their key, so it never names another host; behind a proxy that is believed
(WEIGHBRIDGE_SERVE_PROXIES) it has the scheme and the name that the client used.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from starlette.requests import Request

from weighbridge.web.forwarded import called_by


def origin_of(request: Request) -> str:
    """Return scheme and host of a request, as the client wrote them."""
    return f"{request.scope['scheme']}://{called_by(request)}"


def next_link(request: Request, cursor: str) -> dict[str, str]:
    """Return the header that names the next part of a list; none without a cursor."""
    if not cursor:
        return {}
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    path = quote(request.scope["raw_path"], safe="/%~!$&'()*+,;=:@")
    return {"link": f'<{origin_of(request)}{path}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'}


def evidence(request: Request, api_prefix: str, name: str, version: str) -> str:
    """Return the address that has the verdict on a version with its reasons."""
    return f"{origin_of(request)}{api_prefix}/models/{quote(name, safe='')}/versions/{quote(version, safe='')}"
