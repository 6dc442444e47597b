"""Connections of AWS's client under our policy: checked addresses, pinned names, responses of limited size.

botocore follows no redirects but repeats requests to another region or host on its own, so every request is checked
here, right before it is sent. Not here: credentials and settings (s3.client), errors (s3.errors), results (sources).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool, AWSResponse
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import create_connection

from weighbridge.errors import SourceMisbehaved, SourceUnavailable
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.deadlines import DOCUMENT_TIMES
from weighbridge.net.pace import Pace
from weighbridge.net.paced_connections import paced_pools

#: The most bytes of a response that is not an object: 1,000 keys of a listing take at most some 4 MiB.
MAX_DOCUMENT = 16 * 1024**2
_POOLS: dict[str, Any] = {"http": AWSHTTPConnectionPool, "https": AWSHTTPSConnectionPool}


class GuardedSession:
    """Replaces a client's HTTP session (botocore's `URLLib3Session`) and sends through it.

    Args:
        session: the session that botocore has set up, with its proxies, certificates and timeouts.
        policy: where requests may go.
        pace: the slowest pace of a response; its window is also the time without a byte after which a connection
            counts as dead.
    """

    def __init__(self, session: Any, policy: AddressPolicy, pace: Pace) -> None:
        self._session, self._policy, self._timeout_s = session, policy, pace.window_s
        # A proxy resolves names itself, so the pools of proxies are not pinned.
        session._pool_classes_by_scheme = paced_pools(lambda: pace, _POOLS)
        direct = _POOLS if policy.private is None else _pinned_pools(policy)
        session._manager.pool_classes_by_scheme = paced_pools(lambda: pace, direct)

    def send(self, request: Any) -> Any:
        """Send one request.

        Raises:
            AddressRefused: the address is not allowed.
            SourceMisbehaved: the response is not an object and longer than `MAX_DOCUMENT`.
            SourceUnavailable: it is not an object and takes too long.
        """
        self._policy.check(request.url)
        wants_object, request.stream_output = request.stream_output, True
        answer = self._session.send(request)
        if wants_object and answer.status_code < 300:
            return answer
        bounded = AWSResponse(answer.url, answer.status_code, answer.headers, _Bounded(answer.raw, self._timeout_s))
        _ = bounded.content  # read now, as the connection would otherwise stay in use
        return bounded

    def close(self) -> None:
        """Close every connection."""
        self._session.close()


class _Bounded:
    """A body that is read whole, within `MAX_DOCUMENT` bytes and the deadline of a document."""

    def __init__(self, raw: Any, timeout_s: float) -> None:
        self._raw, self._ends_at = raw, time.monotonic() + DOCUMENT_TIMES * timeout_s

    def stream(self, amt: int = 64 * 1024, decode_content: bool | None = None) -> Iterator[bytes]:
        received = 0
        for chunk in iter(
            lambda: self._raw.read1(amt, decode_content=decode_content), b""
        ):  # read1 returns what has arrived.
            received += len(chunk)
            if time.monotonic() > self._ends_at:
                self._raw.close()
                raise SourceUnavailable("A response of the object store takes too long.", "Try again later.")
            if received > MAX_DOCUMENT:
                self._raw.close()
                raise SourceMisbehaved(
                    f"A response of the object store is longer than {MAX_DOCUMENT} bytes.",
                    "Is the endpoint that of an S3 service?",
                )
            yield chunk


def _pinned_pools(policy: AddressPolicy) -> dict[str, type]:
    """Return connection pools that connect to the very address that the policy has checked (DNS rebinding)."""

    def connect(self: Any) -> socket.socket:
        failure: OSError = OSError("no address")
        for address in policy.resolve(self.host, self.port):
            try:
                return create_connection((address, self.port), self.timeout, None, self.socket_options)
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"{self.host} does not answer") from failure
        raise NewConnectionError(self, str(failure)) from failure

    pools: dict[str, type] = {}
    for scheme, pool in _POOLS.items():
        connection = pool.ConnectionCls
        pinned = type(f"Pinned{connection.__name__}", (connection,), {"_new_conn": connect})
        pools[scheme] = type(f"Pinned{pool.__name__}", (pool,), {"ConnectionCls": pinned})
    return pools
