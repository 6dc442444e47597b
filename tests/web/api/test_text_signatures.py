"""Messages have a second signature, for tools whose HMAC takes a text for a key."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.weighbridge import serving
from tests.simulators.web import WebServer
from tests.web.api.test_ingests import environment
from tests.web.api.test_webhooks import HERE, Hooks

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    with serving(tmp_path / "home", environment(tmp_path, **HERE)) as served:
        yield Hooks(served, tmp_path)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def test_tools_whose_hmac_takes_a_text_verify_with_the_secret_as_it_is_written(hooks: Hooks, web: WebServer) -> None:
    job = hooks.queued("/models/import", {"uri": "mock:org/text", "callback_url": web.put("/hook")})
    hooks.delivered(f"/ingests/{job['id']}")
    request = web.requests[0]  # On a busy machine it is sent again.
    (standard, _), (version, signature) = (one.split(",") for one in request.headers["webhook-signature"].split(" "))
    assert (standard, version) == ("v1", "v1text")
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    assert b64decode(signature) == hmac.digest(hooks.secret().encode(), signed, "sha256")
    assert request.body.isascii()  # What a tool reads as text and writes again stays what was signed.
