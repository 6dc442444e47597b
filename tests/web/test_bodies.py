"""Bodies: JSON under every name that clients give it, and nothing else; each refusal says what to send."""

from __future__ import annotations

import gzip
import http.client

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.web.problems import MEDIA_TYPE

pytestmark = pytest.mark.xdist_group("web")
BODY = '{"tags": ["größe"]}'
JSON = "application/json"


def put(served: Served, content: bytes, headers: dict[str, str]) -> tuple[int, str, str]:
    """Send a body with no other headers than these; return status, type and text of the answer."""
    if served.catalog.lists.model("bodies/a") is None:
        settle(served.catalog, name="bodies/a")
    connection = http.client.HTTPConnection(*served.url.split("/")[2].split(":"))  # type: ignore[arg-type]
    connection.request("PUT", "/api/models/bodies/a", content, served.key("publisher") | headers)
    response = connection.getresponse()
    found = response.status, response.headers["content-type"], response.read().decode()
    connection.close()
    return found


@pytest.mark.parametrize(
    "kind",
    [
        *("", JSON, f"{JSON}; charset=utf-8", f'{JSON};charset="UTF-8"', "Application/JSON", "application/vnd.x+json"),
        *("application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8"),
    ],
)
def test_json_by_every_name(served: Served, kind: str) -> None:
    assert put(served, BODY.encode(), {"Content-Type": kind} if kind else {})[0] == 200


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_json_in_other_unicode(served: Served, encoding: str) -> None:
    status, _, text = put(served, BODY.encode(encoding), {"Content-Type": f"{JSON}; charset={encoding}"})
    assert (status, "größe" in text) == (200, True)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"])
def test_what_is_called_something_else_is_refused(served: Served, kind: str) -> None:
    status, type_, text = put(served, BODY.encode(), {"Content-Type": kind})
    assert (status, type_) == (415, MEDIA_TYPE)
    assert kind in text
    assert "Content-Type: application/json" in text


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (gzip.compress(BODY.encode(), mtime=0), {"Content-Encoding": "gzip"}, 415, "gzip"),
        (BODY.encode("latin-1"), {"Content-Type": f"{JSON}; charset=iso-8859-1"}, 400, "JSON in UTF-8"),
        (b"[" * 50_000, {}, 400, "nested"),
        (b'{"tags": ["a",]}', {}, 422, '"field":"body","message":"it is not JSON'),
        (b"", {}, 422, '"field":"body"'),
        (b'{"parameter_count": ' + b"9" * 5000 + b"}", {}, 400, "JSON"),
        (b'{"parameter_count": NaN}', {}, 422, "body.parameter_count"),
        (b'{"parameter_count": 1e400}', {}, 422, "body.parameter_count"),
    ],
)
def test_what_is_no_json(served: Served, content: bytes, headers: dict[str, str], status: int, words: str) -> None:
    found = put(served, content, {"Content-Type": JSON} | headers)
    assert found[:2] == (status, MEDIA_TYPE), found
    assert words in found[2]


def test_who_may_not_is_told_that_first(served: Served) -> None:
    refused = served.request("PUT", "/models/bodies/a", content=b"x", headers={"Content-Type": "text/plain"})
    assert refused.status_code == 401
