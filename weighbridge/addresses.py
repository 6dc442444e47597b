"""Where requests may go: schemes, hosts and networks, judged by the address that a name has when it is connected to.

A request on behalf of somebody else must not reach what only this machine can reach: private, loopback, link-local and
other addresses that are not global (CWE-918). Not here: sending requests (transfer, sources), and who asks (workspace).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Lock
from urllib.parse import urlsplit

import httpx

from weighbridge.errors import AddressRefused, InvalidConfiguration, InvalidReference, SourceUnavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: NAT64 (RFC 6052): the last 32 bits are an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class AddressPolicy:
    """Where requests may go; the default lets them go anywhere on the web.

    Attributes:
        hosts: patterns of host names (`*.example.com`, `models.example.com`); empty for any.
        schemes: of URLs.
        private: networks besides the global ones that may be reached, as CIDR; None for any address.
        trusted: hosts that the operator has named in a setting; they may lie anywhere.
    """

    hosts: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("https", "http")
    private: tuple[str, ...] | None = None
    trusted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "_networks", tuple(_network(text) for text in self.private or ()))

    def check(self, url: str) -> None:
        """Judge one request, and each redirect again.

        1. The scheme is an allowed one.
        2. The host fits an allowed pattern, or is trusted.
        3. Every address of the host may be connected to.

        Raises:
            AddressRefused: it may not be sent.
            SourceUnavailable: the host has no address.
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port or (80 if parts.scheme == "http" else 443)
        except ValueError as error:
            raise InvalidReference("The address cannot be read.", "Write https://host/path.") from error
        if parts.scheme not in self.schemes:
            raise AddressRefused(
                f"Addresses that begin with “{parts.scheme}:” may not be asked here.",
                f"Allowed: {', '.join(self.schemes)} (WEIGHBRIDGE_ALLOWED_SCHEMES).",
                host=host,
            )
        if self.hosts and host not in self.trusted and not any(fnmatchcase(host, pattern) for pattern in self.hosts):
            raise AddressRefused(
                f"The host {host} may not be asked here.",
                "Ask whoever runs this machine to add it to WEIGHBRIDGE_ALLOWED_HOSTS.",
                host=host,
            )
        if self.private is not None:
            self.resolve(host, port)

    def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Return the IP addresses of a host that may be connected to, in the system's order.

        Raises:
            AddressRefused: one of them may not be reached: a name with a public and a private address is a trick.
            SourceUnavailable: it has none.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise SourceUnavailable(
                f"The host {host} has no address: {error}.", "Check its name and the network.", host=host
            ) from error
        addresses = tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        if self.private is not None and host not in self.trusted:
            for address in addresses:
                if not self._may_reach(ipaddress.ip_address(address)):
                    raise AddressRefused(
                        f"{host} lies at {address}, which is no public address.",
                        "Requests on behalf of others do not go there. Whoever runs this machine may allow it: "
                        f'WEIGHBRIDGE_PRIVATE_NETWORKS=["{address}"].',
                        host=host,
                        address=address,
                    )
        return addresses

    def _may_reach(self, address: Address) -> bool:
        networks: Sequence[Network] = getattr(self, "_networks")  # noqa: B009 (set beside the frozen fields)
        inner = _embedded(address)
        return all(
            (one.is_global and not one.is_multicast) or any(one in network for network in networks)
            for one in (address, inner)
            if one is not None
        )


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidConfiguration(f"“{text}” is no network.", "Write 10.0.0.0/8 or fd00::/8.") from error


def _embedded(address: Address) -> Address | None:
    """Return the IPv4 address that an IPv6 address leads to, or None."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


class PinnedTransport(httpx.BaseTransport):
    """An httpx transport that connects to the very address that the policy has judged.

    Resolving a name once to judge it and once more to connect would let it change in between (DNS rebinding). Each
    host has connections of its own, as two names at one address may have different certificates.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._lock = Lock()
        self._hosts: dict[tuple[str, str, int | None], httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first address of its host that takes the connection."""
        url = request.url
        addresses = self._policy.resolve(url.host, url.port or (80 if url.scheme == "http" else 443))
        with self._lock:
            transport = self._hosts.setdefault((url.scheme, url.host, url.port), httpx.HTTPTransport())
        for address in addresses[:-1]:
            try:
                return transport.handle_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
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
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
