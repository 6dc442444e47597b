"""A parameter that an operation does not have, or that is given twice, is refused by every operation."""

from __future__ import annotations

import re

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.config.settings import Settings
from weighbridge.web.app import create_api

pytestmark = pytest.mark.xdist_group("web")
OPERATIONS = [
    (method, path, operation)
    for path, operations in create_api(Settings()).openapi()["paths"].items()
    for method, operation in operations.items()
]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda value: str(value)[:60])
def test_every_operation_refuses_what_it_does_not_have(
    served: Served, method: str, path: str, operation: dict[str, object]
) -> None:
    where, key = re.sub(r"{\w+}", "none", path.removeprefix("/api")), served.key("admin")
    body = {} if "requestBody" in operation else None
    refused = served.request(method.upper(), f"{where}?misspelt=1", headers=key, json=body)
    assert refused.status_code == 422, refused.text
    assert {error["field"] for error in refused.json()["errors"]} == {"query.misspelt"}


def test_what_is_given_twice_is_refused_unless_it_is_a_list(served: Served) -> None:
    settle(served.catalog, name="parameters/a")
    for query in ("status=PASSED&status=FAILED", "limit=1&limit=2"):
        refused = served.get(f"/models?{query}")
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["message"] == "it is given more than once"
    assert served.get("/models?tag=a&tag=b").status_code == 200
    assert served.get("/models/parameters/a/versions?limit=1&limit=2").status_code == 422
    assert served.get("/models/parameters/a/license?versoin=9.0.0").status_code == 422
    assert served.get("/models/parameters/a/license?version=1.0.0").status_code == 200
