"""Limits of every request and headers of every response, before the application sees either.

Not here: what is refused for its content (web.problems).
"""

from __future__ import annotations

from asyncio import wait_for

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


#: Seconds that a client may take between two parts of a body.
BODY_S = 60.0


class _Refused(HTTPException):
    """A body is refused; FastAPI, which reads bodies, hands on no other kind of exception."""

    def __init__(self, status: int, detail: str, remedy: str) -> None:
        super().__init__(status)
        self.problem = of_status(status, detail, remedy)


class RequestLimits:
    """Refuses large and slow bodies, sends no body in answer to HEAD, and adds `HEADERS`.

    Args:
        app: the application.
        max_body: bytes that a request's body may have.
        body_s: seconds that a client may take between two parts of a body.
    """

    def __init__(self, app: ASGIApp, max_body: int, body_s: float = BODY_S) -> None:
        self._app, self._max_body, self._body_s = app, max_body, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, is_head = False, scope["method"] == "HEAD"

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

        body = _Body(receive, self._max_body, self._body_s)
        try:
            body.count(_declared(scope))
            await self._app(scope, body.receive, send_with_headers)
        except _Refused as error:
            if begun:
                raise
            await respond(error.problem, {"connection": "close"})(scope, receive, send_with_headers)


class _Body:
    """The body of one request, as its parts come."""

    def __init__(self, receive: Receive, max_body: int, body_s: float) -> None:
        self._receive, self._max_body, self._body_s = receive, max_body, body_s
        self._received, self._is_whole = 0, False

    async def receive(self) -> Message:
        """Return the next part, or after the last one the end of the connection, which may take hours."""
        try:
            message = await (self._receive() if self._is_whole else wait_for(self._receive(), self._body_s))
        except TimeoutError:
            raise _Refused(408, "The rest of the body did not come.", "Send the request again.") from None
        self._is_whole = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        self.count(self._received)
        return message

    def count(self, size: int) -> None:
        """Refuse a body of more bytes than it may have."""
        if size > self._max_body:
            raise _Refused(413, f"The body is larger than {self._max_body} bytes.", "Send a smaller one.")


def _declared(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0
