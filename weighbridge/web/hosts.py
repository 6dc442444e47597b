"""The name by which a request calls the server: what it may be, so that no page of another site reads what is served.

A page can let its own name lead to an address of the reader's machine (DNS rebinding); its requests then look to the
browser as if they stayed on its site, but the header `Host` still has its name. Not here: which names are allowed
(config.settings).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from weighbridge.domain.text import shown
from weighbridge.web.forwarded import CALLED
from weighbridge.web.problems import of_status, respond

#: Characters that a header `Host` may have: a name has 253 at most.
_LONGEST = 300
#: A header `Host`: a name or an IPv4 address, or an IPv6 address in brackets; then perhaps a port.
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]*))(?::[0-9]{1,5})?")


class KnownHosts:
    """Refuses requests that call the server by a name that is not its own.

    Args:
        app: the application.
        is_own: returns whether a name or an address, in lowercase, is the server's.
    """

    def __init__(self, app: ASGIApp, is_own: Callable[[str], bool]) -> None:
        self._app = app
        self._is_own = lru_cache(1024)(lambda value: is_own(named(value)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            names = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            names += [scope[CALLED]] if CALLED in scope else []
            wrong = next((name for name in names if len(name) > _LONGEST or not self._is_own(name)), None)
            if wrong is not None:
                problem = of_status(
                    421,
                    f"This server is not called “{shown(wrong, 200)}”.",
                    "Use an address that it has; its operator names further ones in WEIGHBRIDGE_SERVE_NAMES.",
                )
                await respond(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def named(value: str) -> str:
    """Return the name of a header `Host` in lowercase, without port and last dot; empty for none."""
    matched = _HOST.fullmatch(value.strip())
    return (matched["v6"] or matched["name"]).lower().removesuffix(".") if matched else ""
