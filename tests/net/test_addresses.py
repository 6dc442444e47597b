"""Where requests may go: judged by the address, connected to the address that was judged, certificates by name."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulators.web import WebServer
from weighbridge.config.settings import Settings
from weighbridge.errors import (
    AddressRefused,
    InvalidConfiguration,
    InvalidReference,
    SourceMisbehaved,
    SourceUnavailable,
)
from weighbridge.net.addresses import AddressPolicy, is_loopback, service_of
from weighbridge.net.pinned_transport import PinnedTransport
from weighbridge.net.transfer import Transfer

PUBLIC_ONLY = AddressPolicy(private=())
#: Two addresses that are given out to the public, and so may stand for anybody's; nothing is ever sent to them.
PUBLIC, PUBLIC_V6 = "8.8.8.8", "2001:4860:4860::8888"
Names = Callable[[dict[str, list[list[str]]]], None]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Return a function that makes up names: each with the addresses of its first look-up, its second, and so on."""
    plain = socket.getaddrinfo

    def make_up(answers: dict[str, list[list[str]]]) -> None:
        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host not in answers:
                return plain(host, port, *args, **kwargs)
            found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
            return [entry for address in found for entry in plain(address, port, *args, **kwargs)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return make_up


class TestJudgement:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.8.9.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.0.0.192",
            "168.63.129.16",
            "192.88.99.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "0",
            "localhost",
            "LOCALHOST",
            "::1",
            "::",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2002:7f00:1::",
            "fe80::1",
            "fe80::1%lo",
            "fec0::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
        ],
    )
    def test_what_is_not_public_is_refused(self, host: str) -> None:
        with pytest.raises(AddressRefused, match="not a public address"):
            PUBLIC_ONLY.resolve(host, 80)
        if "%" not in host:
            with pytest.raises(AddressRefused):
                PUBLIC_ONLY.check(f"http://{f'[{host}]' if ':' in host else host}:8080/x")

    @pytest.mark.parametrize("host", [PUBLIC, PUBLIC_V6, f"::ffff:{PUBLIC}", f"64:ff9b::{PUBLIC}", "134744072"])
    def test_what_is_public_may_be_asked(self, host: str) -> None:
        assert PUBLIC_ONLY.resolve(host, 443)

    def test_a_name_is_judged_by_each_of_its_addresses(self, names: Names) -> None:
        names({"inner.example": [["10.0.0.5"]], "both.example": [[PUBLIC, "10.0.0.5"]], "outer.example": [[PUBLIC]]})
        for host in ("inner.example", "both.example"):
            with pytest.raises(AddressRefused, match=f"{host} is at 10.0.0.5"):
                PUBLIC_ONLY.check(f"https://{host}/x")
        PUBLIC_ONLY.check("https://outer.example/x")

    def test_other_people_do_not_learn_where_a_name_leads(self, names: Names, caplog: pytest.LogCaptureFixture) -> None:
        policy = AddressPolicy(private=(), for_others=True)
        names({"inner.example": [["10.0.0.5"]], "both.example": [[PUBLIC, "fd00::5"]]})
        for host, address in (("inner.example", "10.0.0.5"), ("both.example", "fd00::5")):
            with pytest.raises(AddressRefused, match=f"{host} leads to an address that is not public") as caught:
                policy.check(f"https://{host}/x")
            assert address not in f"{caught.value} {caught.value.facts}"
            assert f"{host} is at {address}" in caplog.text  # The operator's log has it.

    @pytest.mark.parametrize("host", ["10.0.0.5", "[fd00::5]", "0xa.5", "167772165", "[::ffff:10.0.0.5]"])
    def test_an_address_that_they_write_is_no_secret(self, host: str) -> None:
        with pytest.raises(AddressRefused, match="not a public address") as caught:
            AddressPolicy(private=(), for_others=True).check(f"https://{host}/x")
        assert "WEIGHBRIDGE_PRIVATE_NETWORKS=[" in caught.value.remedy

    def test_what_other_people_name_is_judged_for_them(self) -> None:
        settings = Settings()
        assert settings.webhook_addresses.for_others
        assert settings.addresses("url", on_behalf=True).for_others
        assert not settings.addresses("url", on_behalf=False).for_others

    @pytest.mark.parametrize(
        ("network", "host"),
        [
            ("127.0.0.0/8", "127.0.0.1"),
            ("127.0.0.1", "::ffff:127.0.0.1"),
            ("10.0.0.0/8", "10.9.8.7"),
            ("fd00::/8", "fd00::1"),
            ("10.1.2.3/8", "10.9.8.7"),
        ],
    )
    def test_what_the_operator_allows_may_be_asked(self, network: str, host: str) -> None:
        AddressPolicy(private=(network,)).resolve(host, 80)
        with pytest.raises(AddressRefused):
            AddressPolicy(private=(network,)).resolve("192.168.1.1", 80)

    def test_the_remedy_works(self) -> None:
        for host in ("127.0.0.1", "::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"):
            with pytest.raises(AddressRefused) as caught:
                PUBLIC_ONLY.resolve(host, 80)
            named = caught.value.remedy.partition('["')[2].partition('"]')[0]
            assert AddressPolicy(private=(named,)).resolve(host, 80)

    def test_a_network_that_is_none(self) -> None:
        with pytest.raises(InvalidConfiguration, match="is not a network"):
            AddressPolicy(private=("10.0.0.0/64",))

    def test_without_a_policy_everything_may_be_asked(self) -> None:
        AddressPolicy().check("http://127.0.0.1:1/")
        assert AddressPolicy().resolve("10.0.0.1", 80) == ("10.0.0.1",)

    @pytest.mark.parametrize("host", ["a" * 64 + ".example", "gone.example"])
    def test_a_name_without_an_address(self, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if host == "gone.example":

            def getaddrinfo(*_: Any, **__: Any) -> Any:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(SourceUnavailable, match="has no address"):
            PUBLIC_ONLY.check(f"https://{host}/")

    def test_schemes_and_hosts(self) -> None:
        policy = AddressPolicy(hosts=("*.example.com", "127.0.0.1"), schemes=("https",))
        policy.check("https://models.example.com/x")
        policy.check("https://127.0.0.1/x")
        for url, words in (
            ("http://models.example.com/x", "WEIGHBRIDGE_ALLOWED_SCHEMES"),
            ("file:///etc/passwd", "WEIGHBRIDGE_ALLOWED_SCHEMES"),
            ("https://example.com/x", "WEIGHBRIDGE_ALLOWED_HOSTS"),
            ("https://models.example.com.evil.net/x", "WEIGHBRIDGE_ALLOWED_HOSTS"),
            ("https://models.example.com@evil.net/x", "WEIGHBRIDGE_ALLOWED_HOSTS"),
        ):
            with pytest.raises(AddressRefused, match=words):
                policy.check(url)
        with pytest.raises(InvalidReference):
            policy.check("https://a:99999/")

    def test_a_service_of_the_operator_is_trusted_at_its_port_only(self) -> None:
        policy = AddressPolicy(hosts=("nobody.example",), private=(), trusted=(service_of("http://LocalHost:5000/x"),))
        policy.check("http://localhost:5000/api")
        for url in ("http://localhost:5001/", "http://127.0.0.1:5000/"):
            with pytest.raises(AddressRefused):
                policy.check(url)
        assert service_of("https://hub.example/api") == "hub.example:443"
        assert service_of("nonsense") == service_of("http://a:99999/") == ""


class TestSettings:
    def test_on_behalf_of_others_nothing_private_but_what_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEIGHBRIDGE_MLFLOW_SOURCE", "http://127.0.0.1:5000")
        settings = Settings()
        assert settings.addresses("url", on_behalf=False).private is None
        settings.addresses("mlflow", on_behalf=True).check("http://127.0.0.1:5000/api")
        for kind, url in (("mlflow", "http://127.0.0.1:5001/"), ("url", "http://127.0.0.1:5000/api")):
            with pytest.raises(AddressRefused):
                settings.addresses(kind, on_behalf=True).check(url)

    def test_networks_are_named_by_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEIGHBRIDGE_PRIVATE_NETWORKS", '["10.0.0.0/8"]')
        for on_behalf in (True, False):
            policy = Settings().addresses("url", on_behalf=on_behalf)
            policy.check("http://10.0.0.1/")
            with pytest.raises(AddressRefused):
                policy.check("http://192.168.0.1/")


HERE = AddressPolicy(private=("127.0.0.0/8",))


class TestPinned:
    """Over real sockets, with a certificate for `localhost` and 127.0.0.1."""

    @pytest.fixture
    def web(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
        with WebServer(tmp_path) as server:
            monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
            server.put("/f", b"content")
            yield server

    @staticmethod
    def read(url: str, policy: AddressPolicy = HERE) -> bytes:
        transfer = Transfer(timeout_s=10, max_redirects=3, addresses=policy)
        return transfer.read(url, accept="*/*").content

    def test_the_certificate_is_checked_for_the_name(self, web: WebServer, names: Names) -> None:
        """Were it checked for the address that is connected to, every name would do: the certificate has 127.0.0.1."""
        names({"models.example": [["127.0.0.1"]]})
        assert self.read(web.url("/f", "localhost")) == self.read(web.url("/f")) == b"content"
        received = len(web.requests)
        with pytest.raises(SourceMisbehaved, match=r"certificate of models\.example is not trusted"):
            self.read(web.url("/f", "models.example"))
        assert len(web.requests) == received

    def test_the_server_hears_the_name(self, web: WebServer, names: Names) -> None:
        names({"localhost": [["127.0.0.1"]]})
        self.read(web.url("/f", "localhost"))
        assert web.requests[-1].headers["host"] == f"localhost:{web.port}"

    def test_a_name_that_changes_after_it_was_judged(self, web: WebServer, names: Names) -> None:
        """DNS rebinding: the second look-up is judged as the first, and what it says is what is connected to."""
        looked_up = [[PUBLIC], ["127.0.0.1"]]
        names({"localhost": looked_up})
        with pytest.raises(AddressRefused):
            self.read(web.url("/f", "localhost"), PUBLIC_ONLY)
        assert looked_up == [["127.0.0.1"]]
        assert web.requests == []

    def test_the_next_address_is_tried(self, web: WebServer, names: Names) -> None:
        names({"localhost": [["127.0.0.2", "127.0.0.1"]]})
        assert self.read(web.url("/f", "localhost")) == b"content"

    def test_none_answers(self, web: WebServer, names: Names) -> None:
        names({"localhost": [["127.0.0.2", "127.0.0.3"]]})
        with pytest.raises(SourceUnavailable, match=r"connection to localhost:\d+ failed"):
            self.read(web.url("/f", "localhost"))

    @pytest.mark.parametrize("target", ["https://127.0.0.2/", "https://169.254.169.254/latest/", "https://[::1]/"])
    def test_each_redirect_is_judged(self, web: WebServer, target: str) -> None:
        with pytest.raises(AddressRefused, match="not a public address"):
            self.read(web.redirect("/away", target), AddressPolicy(private=("127.0.0.1",)))
        assert [request.path for request in web.requests] == ["/away"]

    def test_two_names_at_one_address_share_no_connection(self, web: WebServer, names: Names) -> None:
        """The one that is open was checked for the other name."""
        names({"localhost": [["127.0.0.1"]], "models.example": [["127.0.0.1"]]})
        with httpx.Client(transport=PinnedTransport(HERE)) as client:
            assert client.get(web.url("/f", "localhost")).content == b"content"
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                client.get(web.url("/f", "models.example"))

    def test_names_beyond_ascii_are_looked_up_as_they_are_sent(self, names: Names) -> None:
        """Python's resolver would make `fass` of `faß` (IDNA 2003), which is another domain."""
        names({"xn--fa-hia.example": [["127.0.0.1"]]})
        with WebServer() as web:
            web.put("/f", b"content")
            assert self.read(web.url("/f", "faß.example")) == b"content"
            assert web.requests[-1].headers["host"] == f"xn--fa-hia.example:{web.port}"


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("::", False),
        ("0.0.0.0", False),
        ("::ffff:192.0.2.1", False),
        ("2002:7f00:1::", False),
        ("localhost.example.com", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, is_it: bool) -> None:
    assert is_loopback(host) is is_it
