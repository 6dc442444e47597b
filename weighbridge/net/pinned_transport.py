"""An HTTP transport that connects to the address that was checked, so that a name cannot change in between."""

from __future__ import annotations

from threading import Lock

import httpx

from weighbridge.net.addresses import AddressPolicy, port_of
from weighbridge.net.deadlines import has_passed


class PinnedTransport(httpx.BaseTransport):
    """An httpx transport that connects to the very address that the policy has checked.

    Resolving a name once to check it and once more to connect would let it change in between (DNS rebinding). Each
    host has connections of its own, as two names at one address may have different certificates.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._context = httpx.create_ssl_context()  # It takes time, which is none of a request's.
        self._lock = Lock()
        self._hosts: dict[tuple[str, str, int | None], httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first address of its host that accepts the connection."""
        url, host = request.url, request.url.raw_host.decode("ascii")
        addresses = self._policy.resolve(host, port_of(url.scheme, url.port))
        with self._lock:
            key = (url.scheme, host, url.port)
            transport = self._hosts.get(key) or self._hosts.setdefault(key, httpx.HTTPTransport(verify=self._context))
        for address in addresses[:-1]:
            try:
                return transport.handle_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if has_passed():  # A name may have any number of addresses at which nothing answers.
                    raise
        return transport.handle_request(_pinned(request, addresses[-1]))

    def close(self) -> None:
        """Close every connection."""
        for transport in self._hosts.values():
            transport.close()


def _pinned(request: httpx.Request, address: str) -> httpx.Request:
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )
