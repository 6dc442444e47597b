"""Connections of urllib3 whose responses end where a server trickles, for libraries that bring their own client.

A timeout of a socket begins anew with every byte, so such a client would read a head, a document or a file for ever
that comes byte by byte. Not here: httpx's connections (net.deadlines), and the bytes of models (net.pace).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from weighbridge.net.deadlines import HEAD_TIMES
from weighbridge.net.pace import Pace

POOLS: Mapping[str, type] = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


class TooSlow(TimeoutError):
    """A response trickles."""


def paced_pools(
    pace: Callable[[], Pace], pools: Mapping[str, type] = POOLS, max_json: int | None = None
) -> dict[str, type]:
    """Return connection pools for a pool manager of urllib3, by scheme, whose responses keep the pace.

    Args:
        pace: returns the pace that a response which begins now has to keep.
        pools: the pools to build on.
        max_json: the most bytes of a response in JSON, for a library that reads it into memory whole; None for any
            number.
    """

    class Response(_PacedResponse):
        """A response at that pace."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(pace(), max_json, *arguments, **options)

    paced = {}
    for scheme, pool in pools.items():
        connection = pool.ConnectionCls  # type: ignore[attr-defined]
        connection = type(f"Paced{connection.__name__}", (connection,), {"response_class": Response})
        paced[scheme] = type(f"Paced{pool.__name__}", (pool,), {"ConnectionCls": connection})
    return paced


class _PacedResponse(HTTPResponse):
    """A response that is read at a pace: its head too, which has a deadline besides, and JSON up to a size."""

    def __init__(self, pace: Pace, max_json: int | None, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._max_json = max_json
        self._paced = _PacedReader(self.fp.detach(), pace)
        self.fp = BufferedReader(self._paced)

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        self._paced.in_head = False
        if self.headers.get_content_type() == "application/json":
            self._paced.left = self._max_json


class _PacedReader(RawIOBase):
    """What comes from a socket, timed from its first byte on: before that, the socket's own timeout counts.

    Attributes:
        in_head: whether the head of the response is being read.
        left: bytes that may still come; None for any number.
    """

    def __init__(self, raw: RawIOBase, pace: Pace) -> None:
        self._raw, self._pace = raw, pace
        self._began: float | None = None
        self._waited_s, self._arrived = 0.0, 0
        self.in_head = True
        self.left: int | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read as a socket does. Raises TooSlow for a server that trickles, OSError for one that does not end."""
        asked = time.monotonic()
        count = self._raw.readinto(buffer)
        now = time.monotonic()
        if self._began is None:
            self._began = now
        else:
            self._waited_s += now - asked
        self._arrived += count or 0
        self._hold(now - self._began, count or 0)
        return int(count) if count is not None else None

    def _hold(self, since_s: float, count: int) -> None:
        if self.in_head and since_s > HEAD_TIMES * self._pace.window_s:
            raise TooSlow("The head of the response takes too long.")
        if self._waited_s >= self._pace.window_s:
            if self._arrived < self._pace.lowest_speed * self._waited_s:
                raise TooSlow(f"The response comes with {self._arrived / self._waited_s:.0f} bytes a second.")
            self._waited_s, self._arrived = 0.0, 0
        if self.left is not None:
            self.left -= count
            if self.left < 0:
                raise OSError("The response has more bytes of JSON than are allowed.")

    def close(self) -> None:
        """Close the socket's file."""
        self._raw.close()
        super().close()
