"""Access to a real registry that verifies its tokens itself; the realm that gives them is a simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.services.ociregistry import BASIC, PASSWORD, USERNAME, Blob, OciRegistryServer, running
from tests.simulators.registry_tokens import PATH, SERVICE, TokenRealm
from tests.simulators.web import Page, WebServer
from weighbridge.domain.digest import Digest
from weighbridge.errors import AccessDenied, AddressRefused, SourceMisbehaved, SourceUnavailable
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.auth import Auth
from weighbridge.net.oci.access import RegistryAccess
from weighbridge.net.oci.registry import OciRegistry
from weighbridge.net.transfer import Transfer

NAME = "library/secret"
MODEL = Blob.of("model", b"GGUF" * 1000)
CREDENTIALS = Auth("", USERNAME, PASSWORD)


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture(scope="module")
def issuer(web: WebServer, tmp_path_factory: pytest.TempPathFactory) -> TokenRealm:
    return TokenRealm(web, tmp_path_factory.mktemp("realm"))


@pytest.fixture(scope="module")
def server(issuer: TokenRealm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciRegistryServer]:
    bearer = f"Bearer {issuer.token(NAME, 'pull', 'push')}"
    with running(tmp_path_factory.mktemp("registry"), issuer.settings(), Authorization=bearer) as registry:
        registry.push(NAME, [MODEL])
        yield registry


@pytest.fixture
def realm(issuer: TokenRealm, web: WebServer) -> TokenRealm:
    web.requests.clear()
    issuer.grant(NAME)
    return issuer


def open_registry(url: str, auth: Auth | None = None, **policy: Any) -> OciRegistry:
    transfer = Transfer(timeout_s=10, max_redirects=5, addresses=AddressPolicy(**policy))
    return OciRegistry(url, transfer, auth or Auth())


class TestTokens:
    def test_one_token_does_for_manifest_and_blobs(self, server: OciRegistryServer, realm: TokenRealm) -> None:
        registry = open_registry(server.url)
        registry.manifest(NAME, "latest")
        with registry.blob(NAME, Digest.parse(MODEL.digest), 2000, len(MODEL.content)) as stream:
            assert stream.offset == 2000
            assert b"".join(stream.chunks) == MODEL.content[2000:]
        (request,) = realm.requests
        assert parse_qs(urlsplit(request.path).query) == {"service": [SERVICE], "scope": [f"repository:{NAME}:pull"]}
        assert "authorization" not in request.headers

    def test_our_credentials_go_to_a_realm_at_the_registry_s_host(
        self, server: OciRegistryServer, realm: TokenRealm
    ) -> None:
        open_registry(server.url, CREDENTIALS).manifest(NAME, "latest")
        assert [request.headers.get("authorization") for request in realm.requests] == [BASIC]

    def test_another_host_gets_none_unless_they_are_meant_for_both(self, realm: TokenRealm, tmp_path: Path) -> None:
        with running(tmp_path, realm.settings(host="localhost")) as elsewhere:
            for hosts in ((), ("127.0.0.1",), ("localhost",), ("127.0.0.1", "localhost")):
                with pytest.raises(AccessDenied):  # nothing was pushed there
                    open_registry(elsewhere.url, Auth("", USERNAME, PASSWORD, hosts)).manifest("library/x", "latest")
        sent = [request.headers.get("authorization") for request in realm.requests]
        assert sent == [None, None, None, BASIC]

    def test_a_token_of_the_user_s_is_sent_as_it_is(self, server: OciRegistryServer, realm: TokenRealm) -> None:
        open_registry(server.url, Auth(realm.token(NAME, "pull"))).manifest(NAME, "latest")
        with pytest.raises(AccessDenied) as error:
            open_registry(server.url, Auth("wrong-token-of-the-user")).manifest(NAME, "latest")
        assert "wrong-token-of-the-user" not in f"{error.value} {error.value.facts}"
        assert realm.requests == []

    def test_a_token_that_gives_no_right_is_tried_once(self, server: OciRegistryServer, realm: TokenRealm) -> None:
        realm.grant("library/other")
        with pytest.raises(AccessDenied, match="or has no such model") as error:
            open_registry(server.url).manifest(NAME, "latest")
        assert len(realm.requests) == 1
        assert "challenge" not in error.value.facts

    def test_an_expired_token_is_renewed(self, server: OciRegistryServer, realm: TokenRealm) -> None:
        registry = open_registry(server.url)
        realm.grant(NAME, expires_in=0)  # from now on each counts as expired
        for _ in range(3):
            registry.manifest(NAME, "latest")
        assert len(realm.requests) == 3

    def test_a_token_that_the_registry_no_longer_takes_is_renewed(
        self, server: OciRegistryServer, realm: TokenRealm, web: WebServer
    ) -> None:
        expired = realm.token(NAME, "pull", lifetime_s=-3600)
        registry = open_registry(server.url)
        web.pages[PATH] = Page(json.dumps({"access_token": expired}).encode(), next=web.pages[PATH])
        with pytest.raises(AccessDenied):
            registry.manifest(NAME, "latest")
        assert registry.manifest(NAME, "latest").digest
        assert len(realm.requests) == 2


class TestHostileRealms:
    @pytest.mark.parametrize(
        ("page", "error"),
        [
            (Page(b"", status=401), AccessDenied),
            (Page(b"", status=403), AccessDenied),
            (Page(b"", status=404), SourceMisbehaved),
            (Page(b"", status=500), SourceUnavailable),
            (Page(b"<html>"), SourceMisbehaved),
            (Page(b"[]"), SourceMisbehaved),
            (Page(b"{}"), SourceMisbehaved),
            (Page(b'{"token": 7}'), SourceMisbehaved),
            (Page(b'{"token": "a\\r\\nX-Header: b"}'), SourceMisbehaved),
            (Page(b'{"token": "t", "expires_in": "soon"}'), SourceMisbehaved),
            (Page(b'{"token": "t", "expires_in": NaN}'), SourceMisbehaved),
            (Page(json.dumps({"token": "t" * 40_000}).encode()), SourceMisbehaved),
            (Page(b" " * 300_000), SourceMisbehaved),
            (Page(b"", status=302, headers={"Location": "file:///etc/passwd"}), SourceMisbehaved),
        ],
    )
    def test_answers(
        self, server: OciRegistryServer, realm: TokenRealm, web: WebServer, page: Page, error: type[Exception]
    ) -> None:
        web.pages[PATH] = page
        with pytest.raises(error) as raised:
            open_registry(server.url, CREDENTIALS).manifest(NAME, "latest")
        assert type(raised.value) is error
        assert PASSWORD not in str(raised.value)

    def test_a_busy_realm_says_when(self, server: OciRegistryServer, realm: TokenRealm, web: WebServer) -> None:
        web.put(PATH, status=429, headers={"Retry-After": "7"})
        with pytest.raises(SourceUnavailable) as error:
            open_registry(server.url).manifest(NAME, "latest")
        assert error.value.facts["retry_after_s"] == 7

    def test_a_redirect_elsewhere_carries_no_credentials(
        self, server: OciRegistryServer, realm: TokenRealm, web: WebServer
    ) -> None:
        web.pages["/elsewhere"] = web.pages[PATH]
        web.redirect(PATH, web.url("/elsewhere", host="localhost"))
        open_registry(server.url, CREDENTIALS).manifest(NAME, "latest")
        sent = {urlsplit(request.path).path: request.headers.get("authorization") for request in web.requests}
        assert sent == {PATH: BASIC, "/elsewhere": None}

    def test_the_address_policy_holds_for_realms(self, realm: TokenRealm, tmp_path: Path) -> None:
        with running(tmp_path, realm.settings(host="localhost")) as elsewhere, pytest.raises(AddressRefused):
            open_registry(elsewhere.url, hosts=("127.0.0.1",)).manifest(NAME, "latest")
        assert realm.requests == []

    @pytest.mark.parametrize(
        "realm",
        [
            "ftp://auth.example/token",
            "http://auth.example/token",
            "token",
            "https://",
            "https://user:x@auth.example/token",
            "https://auth.example:99999/token",
            "https://auth.example/a b",
            "https://auth.ex\xe4mple/",
            "https://auth.example/#b",
        ],
    )
    def test_what_is_no_realm(self, realm: str) -> None:
        transfer = Transfer(timeout_s=1, max_redirects=0, addresses=AddressPolicy(hosts=("nowhere",)))
        access = RegistryAccess("https://registry.example", transfer, CREDENTIALS)
        with pytest.raises(SourceMisbehaved):
            access.answer(NAME, f'Bearer realm="{realm}"', "")

    def test_no_more_than_pulling_is_asked_for(self, realm: TokenRealm, web: WebServer) -> None:
        access = RegistryAccess(web.url(""), Transfer(timeout_s=5, max_redirects=0), Auth())
        scopes = "repository:a/b:pull,push,delete registry:catalog:* repository:host:5000/c:push nonsense repository::x"
        access.answer(NAME, f'Bearer realm="{web.url(PATH)}?x=1",scope="{scopes}"', "")
        access.answer("other", f'Bearer realm="{web.url(PATH)}",scope="registry:catalog:*"', "")
        assert [parse_qs(urlsplit(request.path).query).get("scope") for request in realm.requests] == [
            ["repository:a/b:pull", "repository:host:5000/c:pull"],
            ["repository:other:pull"],
        ]


class TestBasic:
    def test_user_and_password(self, private_registry: OciRegistryServer) -> None:
        digest = private_registry.push(NAME, [MODEL])
        registry = open_registry(private_registry.url, CREDENTIALS)
        assert str(registry.manifest(NAME, "latest").digest) == digest
        asked = len(private_registry.requests())
        assert registry.small_blob(NAME, Digest.parse(MODEL.digest), len(MODEL.content)) == MODEL.content
        assert len(private_registry.requests()) - asked <= 2

    @pytest.mark.parametrize(
        "auth", [Auth(), Auth("", USERNAME, "wrong-password"), Auth("token"), Auth("", USERNAME, PASSWORD, ("other",))]
    )
    def test_without_the_right_ones(self, private_registry: OciRegistryServer, auth: Auth) -> None:
        with pytest.raises(AccessDenied) as error:
            open_registry(private_registry.url, auth).manifest(NAME, "latest")
        assert error.value.remedy
        assert "wrong-password" not in f"{error.value} {error.value.facts}"
