"""Changes of a model: who may make them, and what is refused."""

from __future__ import annotations

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served

pytestmark = pytest.mark.xdist_group("web")
CHANGES = [
    ("DELETE", "/models/{name}", None),
    ("DELETE", "/models/{name}/versions/1.0.0", None),
    ("PUT", "/models/{name}/default-version", b'{"version": "1.0.0"}'),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_nothing_is_changed_without_a_key(served: Served, method: str, path: str, body: bytes | None) -> None:
    settle(served.catalog, "a", "1.0.0", name="withdrawals/a")
    settle(served.catalog, "b", "1.1.0", name="withdrawals/a")
    before = served.get("/models/withdrawals/a")
    response = served.request(method, path.replace("{name}", "withdrawals/a"), content=body)
    assert response.status_code == 401
    assert "only be read" in response.json()["detail"]
    assert served.get("/models/withdrawals/a").content == before.content
