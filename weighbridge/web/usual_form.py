"""The usual form of requests: HEAD as GET, and what curl calls a form as the JSON that it is.

The application's routes then know no HEAD and no forms. Not here: the mirror, whose clients send both.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

#: The type that curl gives a body of `-d`, and others with a charset; no form is understood here, and a page of another
#: site has no key.
_FORM = b"application/x-www-form-urlencoded"


class UsualForm:
    """Hands requests to an application in their usual form."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(_understood(scope) if scope["type"] == "http" else scope, receive, send)


def _understood(scope: Scope) -> Scope:
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    headers = [
        (name, b"application/json" if name == b"content-type" and _is_form(value) else value)
        for name, value in scope["headers"]
    ]
    return {**scope, "method": method, "headers": headers}


def _is_form(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == _FORM
