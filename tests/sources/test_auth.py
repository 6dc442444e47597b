"""Credentials as sources take them: which host they go to, what they refuse to be, what shows of them."""

from __future__ import annotations

import pickle
from base64 import b64encode
from collections.abc import Iterator

import pytest

from tests.simulators.web import Page, WebServer
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration, InvalidReference, WeighbridgeError
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.net.transfer import Transfer
from weighbridge.sources import open_source


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def test_read_as_it_stands() -> None:
    assert Auth.parse(" abc\n") == Auth("abc")
    assert Auth.parse("user:pass:word") == Auth("", "user", "pass:word")
    assert not Auth.parse("")
    assert Auth.parse("user:").header("https://a.org/") == f"Basic {b64encode(b'user:').decode()}"


@pytest.mark.parametrize(
    ("hosts", "url", "sent"),
    [
        ((), "https://anywhere.org/", True),
        (("a.org",), "https://a.org/x", True),
        (("a.org",), "http://A.ORG:8080/x", True),
        (("a.org",), "https://b.a.org/x", False),
        (("*.a.org",), "https://b.a.org/x", True),
        (("*.a.org",), "https://a.org/x", False),
        (("a.org", "b.org"), "https://b.org/x", True),
        (("a.org",), "https://a.org.evil.net/x", False),
        (("a.org",), "https://evil.net/a.org", False),
        (("a.org",), "https://a.org@evil.net/", False),
        (("a.org",), "https://evil.net#@a.org/", False),
        (("a.org",), "https://evil.net\\@a.org/", True),  # as httpx reads it, which sends it: to a.org
        (("a.org",), "https://a.org./", False),
        (("a.org",), "no url", False),
        (("a.org",), "https://[::1", False),
        (("::1",), "https://[::1]:8/", True),
        (("xn--fa-hia.de",), "https://faß.de/", True),
    ],
)
def test_the_host_decides(hosts: tuple[str, ...], url: str, sent: bool) -> None:
    auth = Auth("abc", hosts=hosts)
    assert auth.may_go_to(url) is sent
    assert auth.header(url) == ("Bearer abc" if sent else "")


@pytest.mark.parametrize("auth", [Auth("hunter2"), Auth("hunter2", "key", "hunter3"), Auth("", "key", "hunter3")])
def test_nothing_shows(auth: Auth) -> None:
    assert "hunter" not in repr(auth) + str(auth)
    assert any(secret.startswith("hunter") for secret in auth.secrets)
    assert pickle.loads(pickle.dumps(auth)) == auth


def test_every_form_is_known() -> None:
    assert set(Auth("", "key", "hunter2").secrets) == {"hunter2", b64encode(b"key:hunter2").decode()}
    assert Auth("", "key", "hunter2", ("a.org",)).secrets == Auth("", "key", "hunter2").secrets
    assert Auth().secrets == ()


@pytest.mark.parametrize(
    "text", ["hunter2\nsecond", "hunter2\x00", "hunter2\r\nX-Y: z", "häunter2", "us\ner:pw", "u:p\tw"]
)
def test_what_cannot_be_sent_is_refused_before_it_is(text: str) -> None:
    """A client would quote the whole header in its error."""
    with pytest.raises(InvalidConfiguration) as caught:
        Auth.parse(text)
    assert "unter2" not in str(caught.value) + repr(caught.value.facts)


def test_no_header_is_quoted(web: WebServer) -> None:
    with pytest.raises(InvalidReference) as caught:
        Transfer(timeout_s=5, max_redirects=0).describe(web.url("/f"), authorization="Bearer hunter2\nx")
    assert "hunter2" not in str(caught.value)


def test_the_hub_takes_no_password(web: WebServer) -> None:
    with pytest.raises(InvalidConfiguration, match="takes a token"):
        open_source("huggingface", SourceSettings(endpoint=web.url(""), auth=Auth("", "user", "hunter2")))


@pytest.mark.parametrize(
    "uri",
    [
        "hf:org/name",
        "pypi:package==1",
        "{}/f.gguf",
        "git+{}/r.git",
        "mlflow:m/1?tracking_uri={}",
        "ollama:m?registry={}",
    ],
)
def test_every_source_keeps_to_the_hosts(web: WebServer, uri: str) -> None:
    """The server is one that these credentials are not for."""
    for path in ("/v2/", "/v2/library/m/manifests/latest"):
        web.pages[path] = Page(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}, etag="")
    ref = ModelRef.parse(uri.format(web.url("")))
    for auth in (Auth("hunter2", hosts=("a.org",)), Auth("", "user", "hunter2", ("a.org",))):
        if auth.username and ref.kind == "huggingface":
            continue
        with pytest.raises(WeighbridgeError):
            open_source(ref.kind, SourceSettings(endpoint=web.url(""), auth=auth, timeout_s=5)).resolve(ref)
    assert web.requests
    assert [request for request in web.requests if "authorization" in request.headers] == []
    settings = SourceSettings(endpoint=web.url(""), auth=Auth("hunter2", hosts=("127.0.0.1",)), timeout_s=5)
    with pytest.raises(WeighbridgeError):
        open_source(ref.kind, settings).resolve(ref)
    assert "authorization" in web.requests[-1].headers, "the test would not see them"
