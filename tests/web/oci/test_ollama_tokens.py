"""Which signatures of an Ollama count: those for a host that is this server's, however it is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request

from tests.web.oci.conftest import Ollama
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.errors import NotAuthenticated
from weighbridge.intake.callers import create_key
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import open_resources
from weighbridge.web.oci.ollama_tokens import signed_token, token_caller

OWN = Ed25519PrivateKey.generate()
EVERYWHERE = {"serve_host": "0.0.0.0", "api_reading": "closed"}


@contextmanager
def opened(home: Path, **settings: Any) -> Iterator[Resources]:
    with open_resources(Settings(home=home, **settings)) as resources:
        yield resources


def asked(host: str, address: str) -> tuple[Request, str]:
    """Return a request for a token that an Ollama signed for a host, as it comes to a socket of an address."""
    query = f"ts={int(utc_now().timestamp())}"
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/v2/token",
        "raw_path": b"/v2/token",
        "query_string": query.encode(),
        "headers": [(b"host", host.encode())],
        "server": (address, 8080),
    }
    return Request(scope), Ollama(f"http://{host}", OWN).signature(f"http://{host}/v2/token?{query}")


@pytest.mark.parametrize(
    ("host", "address", "settings"),
    [
        ("192.0.2.1:8080", "192.0.2.1", {}),
        ("192.0.2.1:8080", "::ffff:192.0.2.1", {}),
        ("[2001:db8::1]:8080", "2001:db8::1", {}),
        ("localhost:8080", "127.0.0.1", {}),
        ("models.example:8080", "192.0.2.1", {"serve_url": "http://models.example:8080"}),
        ("Models.Example", "192.0.2.1", {"serve_names": ("models.example",)}),
        ("a.models.example", "192.0.2.1", {"serve_names": ("*.models.example",)}),
    ],
)
def test_a_host_of_this_server(tmp_path: Path, host: str, address: str, settings: dict[str, Any]) -> None:
    with opened(tmp_path, **EVERYWHERE, **settings) as resources:
        request, header = asked(host, address)
        with pytest.raises(NotAuthenticated, match="no valid key here") as unknown:
            signed_token(request, header, resources)
        name = re.search("ollama-[0-9a-f]{40}", str(unknown.value))
        assert name is not None
        create_key(resources.catalog, name[0], "reader", now=utc_now())
        assert token_caller(signed_token(request, header, resources), resources).name == name[0]


@pytest.mark.parametrize(
    ("host", "address", "settings"),
    [
        ("registry.example", "192.0.2.1", {}),
        ("198.51.100.1:8080", "192.0.2.1", {}),
        ("localhost:8080", "192.0.2.1", {}),
        ("models.example:8081", "192.0.2.1", {"serve_url": "http://models.example:8080"}),
        ("models.example.evil.example", "192.0.2.1", {"serve_names": ("models.example",)}),
        ("[", "192.0.2.1", {}),
    ],
)
def test_another_host(tmp_path: Path, host: str, address: str, settings: dict[str, Any]) -> None:
    with opened(tmp_path, **EVERYWHERE, **settings) as resources:
        request, header = asked(host, address)
        with pytest.raises(NotAuthenticated, match="not known to be this registry"):
            signed_token(request, header, resources)
