"""The names by which a server may be called: a page of another site whose name leads to this machine reads nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.weighbridge import Served, serving
from weighbridge.config.settings import Settings

pytestmark = pytest.mark.xdist_group("web")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("localhost.", 200),
        ("127.0.0.1", 200),
        ("127.0.0.2:1", 200),
        ("[::1]:8080", 200),
        ("evil.example.com", 421),
        ("evil.example.com:8080", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost.evil.example.com", 421),
        ("localhost:80@evil.example.com", 421),
        ("evil.example.com#localhost", 421),
        ("[::1", 421),
        ("::1", 421),
        ("localhost:x", 421),
        ("192.0.2.1", 421),
        ("0.0.0.0", 421),
        ("", 421),
    ],
)
def test_on_this_machine_only_its_own_names(served: Served, host: str, status: int) -> None:
    response = served.get("/models", headers={"Host": host})
    assert response.status_code == status
    if status == 421:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "WEIGHBRIDGE_SERVE_NAMES" in response.json()["remedy"]
        assert served.get("/docs", headers={"Host": host}).status_code == 421


def test_no_other_header_names_the_host(served: Served) -> None:
    headers = {"X-Forwarded-Host": "localhost", "Forwarded": "host=localhost", "Host": "evil.example.com"}
    assert served.get("/models", headers=headers).status_code == 421


def test_two_hosts_are_refused(served: Served) -> None:
    host, port = served.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        lines = ("GET /api/models HTTP/1.1", "Host: localhost", "Host: evil.example.com", "Connection: close", "", "")
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(4096).split()[1] in (b"400", b"421")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    names = {"WEIGHBRIDGE_SERVE_NAMES": "registry.example.com,*.internal", "WEIGHBRIDGE_API_READING": "open"}
    with serving(tmp_path_factory.mktemp("named"), names) as served:
        yield served


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("registry.example.com", 200),
        ("Registry.Example.com:443", 200),
        ("models.internal", 200),
        ("127.0.0.1", 200),
        ("example.com", 421),
        ("registry.example.com.evil.net", 421),
        ("internal", 421),
    ],
)
def test_further_names_are_a_setting(named: Served, host: str, status: int) -> None:
    assert named.get("/models", headers={"Host": host}).status_code == status


def test_elsewhere_any_name_will_do_unless_names_are_set() -> None:
    assert Settings(serve_host="0.0.0.0").is_own_name("registry.example.com")
    assert Settings(serve_host="0.0.0.0").is_own_name("10.0.0.5")
    limited = Settings(serve_host="0.0.0.0", serve_names=("registry.example.com",))
    assert [limited.is_own_name(name) for name in ("registry.example.com", "10.0.0.5", "localhost")] == [
        *(True, False, True)
    ]


def test_a_served_one_that_others_reach(tmp_path: Path) -> None:
    with serving(tmp_path, {"WEIGHBRIDGE_API_READING": "open"}, "--host", "0.0.0.0") as served:
        url = served.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/models", headers={"Host": "any.example.com"}, trust_env=False).status_code == 200
