"""The policy of where requests may go: schemes, hosts and networks, checked with the address that is connected to.

A request on behalf of another person must not reach what only this machine can reach: private, loopback, link-local and
other addresses that are not global (CWE-918). Not here: sending requests (net.transfer, sources), and on whose behalf
they are sent (intake.workspace).
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from weighbridge.domain.name_patterns import matches
from weighbridge.domain.text import shown
from weighbridge.errors import AddressRefused, InvalidConfiguration, InvalidReference
from weighbridge.net.name_lookup import addresses_of

_log = logging.getLogger(__name__)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: NAT64 (RFC 6052): the last 32 bits are an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: The only public IPv6 addresses (RFC 4291, section 2.4; IANA).
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
#: Networks that are not public although Python's `is_global`, in some of its versions, says so.
_SPECIAL: tuple[Network, ...] = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # the IETF's; a cloud serves its metadata at 192.0.0.192
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4 (RFC 7526)
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's service for its own machines
    ipaddress.IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)


@dataclass(frozen=True)
class PolicySettings:
    """The names of the settings that an address policy is made of, for its messages.

    Attributes:
        hosts, schemes, networks: each setting's variable.
    """

    hosts: str = "WEIGHBRIDGE_ALLOWED_HOSTS"
    schemes: str = "WEIGHBRIDGE_ALLOWED_SCHEMES"
    networks: str = "WEIGHBRIDGE_PRIVATE_NETWORKS"


@dataclass(frozen=True)
class AddressPolicy:
    """The policy of where requests may go; the default allows any address on the web.

    Attributes:
        hosts: patterns of host names (`*.example.com`, `models.example.com`); empty for any.
        schemes: the schemes of URLs that are allowed.
        private: networks besides the global ones that may be reached, as CIDR; None for any address.
        trusted: services that the operator has named in a setting, as `host:port`; they may be anywhere.
        settings: where all of this is set.
        for_others: whether other people name the hosts: to them no message says which address a name leads to.
    """

    hosts: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("https", "http")
    private: tuple[str, ...] | None = None
    trusted: tuple[str, ...] = ()
    settings: PolicySettings = PolicySettings()
    for_others: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "_networks", tuple(_network(text) for text in self.private or ()))

    def check(self, url: str) -> None:
        """Check the URL of one request; each redirect is checked again.

        1. The scheme is allowed.
        2. The host matches an allowed pattern, or is trusted.
        3. Every address of the host may be connected to.

        Raises:
            AddressRefused: the request may not be sent.
            SourceUnavailable: the host has no address.
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), port_of(parts.scheme, parts.port)
        except ValueError as error:
            raise InvalidReference("The address cannot be parsed.", "Write https://host/path.") from error
        if parts.scheme not in self.schemes:
            raise AddressRefused(
                f"Addresses that begin with “{parts.scheme}:” are not allowed here.",
                f"Allowed: {', '.join(self.schemes)} ({self.settings.schemes}).",
                host=host,
            )
        if self.hosts and not self.trusts(host, port) and not any(matches(host, one) for one in self.hosts):
            raise AddressRefused(
                f"Requests to the host {host} are not allowed here.",
                f"Ask the operator of this machine to add it to {self.settings.hosts}.",
                host=host,
            )
        if self.private is not None:
            self.resolve(host, port)

    def trusts(self, host: str, port: int) -> bool:
        """Return whether the operator has named the service at this host and port."""
        return service(host, port) in self.trusted

    def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Return the IP addresses of a host that may be connected to, in the system's order.

        Raises:
            AddressRefused: one of them is not allowed: a name with a public and a private address is an attack.
            SourceUnavailable: it has none, or the name server does not say in time.
        """
        addresses = addresses_of(host)
        if self.private is not None and not self.trusts(host, port):
            for address in addresses:
                self._judge(host, address)
        return addresses

    def _judge(self, host: str, address: str) -> None:
        networks: Sequence[Network] = getattr(self, "_networks")  # noqa: B009 (set beside the frozen fields)
        for reached in _reached(ipaddress.ip_address(address)):
            if not _is_public(reached) and not any(reached in network for network in networks):
                raise self._refusal(host, address, reached)

    def _refusal(self, host: str, address: str, reached: Address) -> AddressRefused:
        remedy = "Requests on behalf of others do not go there. The operator of this machine may allow it: "
        if self.for_others and not _is_address(host):
            _log.error("%s is at %s, which is not a public address.", shown(host), address)
            return AddressRefused(
                f"The name {host} leads to an address that is not public.",
                f"{remedy}{self.settings.networks}, and the log says which address it is.",
                host=host,
            )
        return AddressRefused(
            f"{host} is at {address}, which is not a public address.",
            f'{remedy}{self.settings.networks}=["{reached}"].',
            host=host,
            address=address,
        )


def service(host: str, port: int) -> str:
    """Return a host and port in the form of `AddressPolicy.trusted`."""
    return f"{host.lower()}:{port}"


def service_of(url: str) -> str:
    """Return the host and port of a URL in the form of `AddressPolicy.trusted`; empty for a URL without a host."""
    try:
        parts = urlsplit(url)
        return service(parts.hostname, port_of(parts.scheme, parts.port)) if parts.hostname else ""
    except ValueError:
        return ""


def port_of(scheme: str, port: int | None) -> int:
    """Return the port of a request: the one in its address, or the default of its scheme."""
    return port or (80 if scheme == "http" else 443)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidConfiguration(f"“{text}” is not a network.", "Write 10.0.0.0/8 or fd00::/8.") from error


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_V6 and address not in _NAT64:
        return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _SPECIAL)


def _reached(address: Address) -> tuple[Address, ...]:
    """Return the addresses that a connection to one reaches: some IPv6 addresses contain or tunnel to an IPv4 one."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped:  # the same connection in another notation
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (address, ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    inner = address.sixtofour or (address.teredo[1] if address.teredo else None)
    return (address, inner) if inner else (address,)


def _is_address(host: str) -> bool:
    """Return whether a host is written as an address, in whichever of its notations, so that it hides nothing."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}", host, re.IGNORECASE) is not None
    return True


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches what listens on a host: an address, or `localhost`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
