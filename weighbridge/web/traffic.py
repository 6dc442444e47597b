"""Traffic: how many requests were answered, how, how fast and with how many bytes, by the part that answered them.

Not here: what else is measured (web.health).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from functools import cache
from hashlib import sha256

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from weighbridge.web.counters import Counters
from weighbridge.web.zero_copy import ZERO_COPY

#: Methods that are shown by their name; a client may send any text.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
#: Parts of the path of a request for a file of the mirror.
_IS_FILE = re.compile("/(resolve|raw|blobs?|resolve-cache)/")
#: Where the mirror says in a request's scope how a file was found: `through` where it was handed on from its Hub.
FOUND = "weighbridge.found"
#: What a status means for who asks for a file of the mirror: it waits, is refused, or there is no such file.
_RESULTS = {401: "refused", 403: "refused", 404: "miss", 410: "miss", 429: "waiting", 451: "refused", 503: "waiting"}
#: Statuses after which a client waits, as long as `Retry-After` says.
_WAITING = tuple(status for status, result in _RESULTS.items() if result == "waiting")
#: Seconds by which clients may be late.
_LATE_S = 5.0
#: The histogram of the ages of what is given out, and the greatest age in seconds in each part of it: an hour, a day, a
#: week, 30 days, 90 days.
_AGE = "weighbridge_mirror_age_seconds"
_AGES = tuple((most, f'{_AGE}_bucket{{le="{most}"}}') for most in (3600, 86_400, 604_800, 2_592_000, 7_776_000))
#: Status of a request that got no answer, as nginx logs it.
_NO_ANSWER = 499


def series(name: str, **labels: object) -> str:
    """Return the name of a series, as Prometheus writes it; the labels' values need no escaping."""
    written = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{written}}}"


@cache
def _series_of(part: str, method: str, status: int) -> tuple[str, str, str]:
    """Return the series of requests, seconds and bytes; there are some dozens of them, made once."""
    return (
        series("weighbridge_requests_total", part=part, method=method, status=status),
        series("weighbridge_request_seconds_total", part=part),
        series("weighbridge_sent_bytes_total", part=part),
    )


def ages(age_s: float) -> dict[str, float]:
    """Return what the age of a version that is given out adds to the histogram of ages."""
    parts = {part: int(age_s <= most) for most, part in _AGES}
    return {**parts, f'{_AGE}_bucket{{le="+Inf"}}': 1, f"{_AGE}_sum": age_s, f"{_AGE}_count": 1}


def _again_s(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Return the seconds for which a client that was told to wait may be away; 0 where it was not told how long."""
    told = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return float(told) + _LATE_S if told.isdigit() else 0.0


def _who(scope: Scope) -> str:
    """Return a word for a client, from which nobody can tell its address or its key."""
    key = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    return sha256(f"{(scope.get('client') or ('', 0))[0]} ".encode() + key).hexdigest()[:16]


class Traffic:
    """Counts what passes to and from an application.

    Args:
        app: the application.
        counters: where it is counted.
        parts: the path that each part is below, by its name.
    """

    def __init__(self, app: ASGIApp, counters: Counters, parts: dict[str, str]) -> None:
        self._app, self._counters, self._mirror = app, counters, f"{parts['mirror']}/"
        self._parts = tuple((f"{path}/", name) for name, path in parts.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, size, began, again_s = _NO_ANSWER, 0, time.monotonic(), 0.0

        async def counting(message: Message) -> None:
            nonlocal status, size, again_s
            if message["type"] == "http.response.start":
                status = message["status"]
                again_s = _again_s(message["headers"]) if status in _WAITING else 0.0
            else:
                size += message["count"] if message["type"] == ZERO_COPY else len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counting)
        finally:
            self._count(scope, status, size, time.monotonic() - began)
            if (again_s or self._counters.knows_waiting) and scope["path"].startswith(self._mirror):
                self._counters.wait(_who(scope), again_s)

    def _count(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        path: str = scope["path"]
        part = "other"
        for prefix, name in self._parts:
            if path.startswith(prefix):
                part = name
                break
        method = scope["method"] if scope["method"] in _METHODS else "other"
        requests, spent, sent = _series_of(part, method, status)
        amounts = {requests: 1, spent: seconds, sent: 0 if method == "HEAD" else size}
        if part == "mirror" and _IS_FILE.search(path):
            result = scope.get(FOUND, "hit") if status < 400 else _RESULTS.get(status, "error")
            amounts[f'weighbridge_mirror_files_total{{result="{result}"}}'] = 1
        self._counters.add(amounts)
