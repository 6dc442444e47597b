"""Limits of every request and headers of every response, before the application sees either.

Not here: what is refused for its content (web.problems).
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weighbridge.web.problems import of_status, respond

#: No page of another site may frame, read or guess what is served here, and nothing is loaded from elsewhere.
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}
_DEFAULTS = [(name.encode(), value.encode()) for name, value in {**HEADERS, "cache-control": "no-store"}.items()]


class _TooLarge(HTTPException):
    """A body is larger than it may be; FastAPI, which reads bodies, hands on no other kind of exception."""

    def __init__(self) -> None:
        super().__init__(413)


class RequestLimits:
    """Refuses large bodies, sends no body in answer to HEAD, and adds `HEADERS`.

    Args:
        app: the application.
        max_body: bytes that a request's body may have.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self._app, self._max_body = app, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, begun, is_head = 0, False, scope["method"] == "HEAD"

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body:
                raise _TooLarge
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                given = list(message["headers"])
                names = {name for name, _ in given}
                message = {**message, "headers": given + [pair for pair in _DEFAULTS if pair[0] not in names]}
            elif is_head:
                return
            await send(message)
            if is_head:  # The response is whole: what would stream for hours hears that nobody reads it, and ends.
                await send({"type": "http.response.body", "body": b""})

        try:
            if _declared(scope) > self._max_body:
                raise _TooLarge
            await self._app(scope, receive_limited, send_with_headers)
        except _TooLarge:
            if begun:
                raise
            problem = of_status(413, f"The body is larger than {self._max_body} bytes.", "Send a smaller one.")
            await respond(problem, {"connection": "close"})(scope, receive, send_with_headers)


def _declared(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0
