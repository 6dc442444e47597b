"""Whatever a request holds, its answer is one that some operation promises, and never the server's failure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.config.settings import Settings
from weighbridge.web.app import create_api
from weighbridge.web.problems import MEDIA_TYPE, ProblemDetails

pytestmark = pytest.mark.xdist_group("web")
DOCUMENT = create_api(Settings()).openapi()
OPERATIONS = [(path, method) for path, found in DOCUMENT["paths"].items() for method in found]
RESPONSES = [DOCUMENT["paths"][path][method]["responses"] for path, method in OPERATIONS]
STATUSES = {405} | {int(status) for responses in RESPONSES for status in responses}
#: Text that is likely to mean something, and text that means nothing.
WORDS = st.one_of(
    st.sampled_from(["documented/one", "1.0.0", "PASSED", "asc", "size", "true", "0", "-1", "9223372036854775808", ""]),
    st.sampled_from(["\0", "..", "%", "/", "'; DROP TABLE models; --", "null", "1e400", "\U0001f600", "a@b"]),
    st.sampled_from(["file:/nowhere", "s3://bucket/prefix", "mock:documented/one", "llama", "strict"]),
    st.text(max_size=20),
)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | WORDS, st.lists, max_leaves=4)


def bodies(content: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for an operation's bodies: JSON, or an object of its fields with one that it has not."""
    schema = content["application/json"]["schema"]
    reference = next(one["$ref"] for one in schema.get("anyOf", [schema]) if "$ref" in one)
    described = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
    value, required = WORDS | JSON, described.get("required", [])
    further = {name: value for name in described["properties"] if name not in required}
    fields = st.fixed_dictionaries(dict.fromkeys(required, value), optional=further)
    return JSON | fields | fields.map(lambda known: {**known, "other": 1})


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """Draw an operation with parameters and a body, of which any may be missing or wrong."""
    path, method = draw(st.sampled_from(OPERATIONS))
    operation = DOCUMENT["paths"][path][method]
    parameters = operation.get("parameters", [])
    for one in parameters:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", quote(draw(WORDS) or "x", safe=draw(st.sampled_from(["", "/"]))))
    query = {one["name"]: draw(WORDS) for one in parameters if one["in"] == "query" and draw(st.booleans())}
    options: dict[str, Any] = {"params": query}
    if "requestBody" in operation:
        options["json"] = draw(bodies(operation["requestBody"]["content"]))
    return method, path.removeprefix("/api"), options


@pytest.fixture
def keys(served: Served) -> dict[str, dict[str, str]]:
    """Return the key for each method; that for orders is for other models, so that no drawn one starts any work."""
    admin, elsewhere = served.key("admin"), served.key("publisher", "elsewhere/*")
    return {"get": admin, "put": admin, "delete": admin, "post": elsewhere}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests(), authenticated=st.booleans())
def test_every_answer_is_documented(
    served: Served, keys: dict[str, dict[str, str]], request: tuple[str, str, dict[str, Any]], authenticated: bool
) -> None:
    if served.catalog.lists.model("documented/one") is None:
        settle(served.catalog, name="documented/one")
    method, path, options = request
    if "json" in options:  # httpx refuses numbers that are not finite; other clients send them.
        options["content"] = json.dumps(options.pop("json")).encode()
    response = served.request(method, path, **options, headers=keys[method] if authenticated else {})
    assert response.status_code < 500, (method, path, options, response.text)
    if response.status_code >= 400:
        assert response.headers["content-type"] == MEDIA_TYPE
        ProblemDetails.model_validate(response.json(), strict=True)
    assert response.status_code in STATUSES
