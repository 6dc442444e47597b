"""The address of a peer is written in one way, whatever the socket."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from weighbridge.web.peers import address_of


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("a socket", "a socket"),
    ],
)
def test_one_of_ipv4_is_one_of_ipv4(peer: str, address: str) -> None:
    assert address_of(HTTPConnection({"type": "http", "client": (peer, 1234)})) == address


def test_a_peer_without_an_address_has_none() -> None:
    assert address_of(HTTPConnection({"type": "http", "client": None})) == ""
