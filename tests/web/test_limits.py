"""Headers of every response, and bodies that are too large."""

from __future__ import annotations

import http.client

import pytest

from tests.services.weighbridge import Served
from weighbridge.config.settings import Settings
from weighbridge.web.app import create_api
from weighbridge.web.limits import HEADERS

pytestmark = pytest.mark.xdist_group("web")


@pytest.mark.parametrize(("method", "path"), [("GET", "/models"), ("GET", "/nothing"), ("PATCH", "/models")])
def test_every_response_has_the_headers(served: Served, method: str, path: str) -> None:
    headers = served.request(method, path).headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert headers["cache-control"] in ("no-store", "private, no-cache")
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_head_is_get_without_a_body(served: Served) -> None:
    one, other = served.get("/models"), served.request("HEAD", "/models")
    assert (other.status_code, other.content) == (200, b"")
    assert other.headers["content-length"] == one.headers["content-length"]


def test_a_large_body_is_refused_before_it_is_sent(served: Served) -> None:
    connection = http.client.HTTPConnection(*served.url.split("/")[2].split(":"))  # type: ignore[arg-type]
    connection.putrequest("PUT", "/api/models/a")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert b"1048576 bytes" in response.read()
    connection.close()


def test_a_large_body_in_chunks_is_refused_on_the_way(served: Served) -> None:
    chunks = iter([b"[" + b" " * 1023] * 1100)
    response = served.request("POST", "/models/import", content=chunks, headers=served.key("publisher"))
    assert response.status_code == 413


def test_every_operation_with_a_body_says_that_it_may_be_too_large_or_no_json() -> None:
    paths = create_api(Settings()).openapi()["paths"]
    with_body = {
        (method, path): one for path, all_ in paths.items() for method, one in all_.items() if "requestBody" in one
    }
    assert with_body
    assert [operation for operation, one in with_body.items() if not {"413", "415"} <= one["responses"].keys()] == []
