"""What a believed proxy says of the request that it hands on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from weighbridge.web.forwarded import BelievedProxies, called_by

HOST = (b"host", b"inner:8080")


def seen(*headers: tuple[bytes, bytes], peer: str = "10.0.0.5") -> tuple[str, str, str]:
    """Return the address, the scheme and the name that the application sees."""
    scopes: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    scope = {
        "type": "http",
        "client": (peer, 1),
        "scheme": "http",
        "server": ("s", 1),
        "path": "/",
        "query_string": b"",
    }
    asyncio.run(BelievedProxies(application, ["10.0.0.5"])({**scope, "headers": [HOST, *headers]}, None, None))
    request = Request(scopes[0])
    assert request.client is not None
    return request.client.host, request.url.scheme, called_by(request)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ("10.0.0.5", "http", "inner:8080")),
        ([(b"x-forwarded-host", b"models.example:444")], ("10.0.0.5", "http", "models.example:444")),
        ([(b"x-forwarded-host", b"evil.example, models.example")], ("10.0.0.5", "http", "models.example")),
        ([(b"x-forwarded-host", b"evil.example"), (b"x-forwarded-host", b"a")], ("10.0.0.5", "http", "a")),
        ([(b"x-forwarded-host", b'a>; rel="next"')], ("10.0.0.5", "http", "inner:8080")),
        ([(b"x-forwarded-host", b"")], ("10.0.0.5", "http", "inner:8080")),
        (
            [(b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"a")],
            ("192.0.2.1", "https", "a"),
        ),
        ([(b"forwarded", b"for=192.0.2.1;proto=https;host=a.example")], ("192.0.2.1", "https", "a.example")),
        ([(b"forwarded", b'For="[2001:db8::1]:4711";Proto=https')], ("2001:db8::1", "https", "inner:8080")),
        ([(b"forwarded", b'host=evil, for=192.0.2.1;host="a:1"')], ("192.0.2.1", "http", "a:1")),
        ([(b"forwarded", b'for="a,b;c", for=192.0.2.9')], ("192.0.2.9", "http", "inner:8080")),
        ([(b"forwarded", b'";=,,for')], ("unknown", "http", "inner:8080")),
        (
            [(b"forwarded", b"for=192.0.2.66;host=evil"), (b"x-forwarded-for", b"192.0.2.1")],
            ("192.0.2.1", "http", "inner:8080"),
        ),
    ],
)
def test_the_last_word_is_that_of_the_proxy(headers: list[tuple[bytes, bytes]], expected: tuple[str, str, str]) -> None:
    assert seen(*headers) == expected


def test_nobody_else_is_believed() -> None:
    said = [(b"x-forwarded-host", b"evil"), (b"forwarded", b"for=1.1.1.1;host=evil"), (b"x-forwarded-for", b"1.1.1.1")]
    assert seen(*said, peer="10.0.0.6") == ("10.0.0.6", "http", "inner:8080")
