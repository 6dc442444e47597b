"""A name server that never answers holds up nobody for long, and each name has one thread."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from tests.net.test_webhook_post import ELSEWHERE, send
from weighbridge.errors import SourceUnavailable
from weighbridge.net import name_lookup
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.deadlines import within
from weighbridge.net.name_lookup import addresses_of
from weighbridge.net.retrying import Retrying
from weighbridge.net.transfer import Transfer


class Server:
    """A name server that is silent until it is told to answer, with the names that it was asked for."""

    def __init__(self, plain: Callable[..., Any]) -> None:
        self._plain = plain
        self.answers = Event()
        self.asked: list[str] = []

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if not str(host).endswith(".silent.example"):
            return self._plain(host, port, *args, **kwargs)
        self.asked.append(host)
        self.answers.wait(60)
        return self._plain("8.8.8.8", port, *args, **kwargs)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = Server(socket.getaddrinfo)
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    monkeypatch.setattr(name_lookup, "LOOKUP_S", 0.1)
    yield found
    found.answers.set()
    for lookup in list(name_lookup._under_way.values()):
        lookup.join(10)


def test_names_and_addresses() -> None:
    assert "127.0.0.1" in addresses_of("localhost")
    assert addresses_of("::1") == ("::1",)
    assert addresses_of("0x7f.1") == ("127.0.0.1",)
    for wrong in ("", "a" * 64 + ".example", "\ud800", "no-such-host.invalid"):
        with pytest.raises(SourceUnavailable, match="has no address"):
            addresses_of(wrong)


def test_a_silent_name_server_holds_up_nobody(server: Server) -> None:
    with pytest.raises(SourceUnavailable, match=r"a\.silent\.example is not resolved within 0\.1 seconds"):
        addresses_of("a.silent.example")
    receipt = send("https://a.silent.example/", ELSEWHERE)
    assert (receipt.status, "not resolved" in receipt.problem) == (None, True)
    for policy in (AddressPolicy(private=()), AddressPolicy()):  # The second one judges no address.
        transfer = Transfer(timeout_s=5, max_redirects=0, addresses=policy, retrying=Retrying(attempts=1))
        with pytest.raises(SourceUnavailable, match="not resolved"):
            transfer.read("https://a.silent.example/", accept="*/*")


def test_whoever_asks_again_waits_for_the_same_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        with pytest.raises(SourceUnavailable):
            addresses_of("b.silent.example")
    assert server.asked == ["b.silent.example"]
    monkeypatch.setattr(name_lookup, "LOOKUP_S", 30)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(addresses_of, "b.silent.example") for _ in range(4)]
        server.answers.set()
        assert {one.result() for one in waiting} == {("8.8.8.8",)}
    assert addresses_of("b.silent.example") == ("8.8.8.8",)  # It is asked anew: no answer is kept.
    assert server.asked.count("b.silent.example") >= 2


def test_so_many_names_are_looked_up_at_once_and_no_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lookup, "MOST", 3 + len(name_lookup._under_way))
    for n in range(3):
        with pytest.raises(SourceUnavailable, match="not resolved"):
            addresses_of(f"m{n}.silent.example")
    with pytest.raises(SourceUnavailable, match="too many others"):
        addresses_of("m3.silent.example")
    with pytest.raises(SourceUnavailable, match="not resolved"):
        addresses_of("m2.silent.example")


def test_a_deadline_of_the_whole_request_counts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lookup, "LOOKUP_S", 600)
    with within(0.05), pytest.raises(SourceUnavailable, match="not resolved"):
        addresses_of("c.silent.example")
    assert "not resolved" in send("https://c.silent.example/", ELSEWHERE, timeout_s=0.05).problem
