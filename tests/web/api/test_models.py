"""The list of models, and one model."""

from __future__ import annotations

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.web.api import documents

pytestmark = pytest.mark.xdist_group("web")


def test_a_model(served: Served) -> None:
    settle(served.catalog, "a", "1.0.0", name="models/one")
    settle(served.catalog, "b", "1.1.0", "FAILED", name="models/one")
    found = served.get("/models/models/one").json()
    assert documents.WholeModel.model_validate(found, strict=True).model_dump(exclude_unset=True) == found
    assert (found["version"], found["default_version"], found["status"], found["versions"]) == (
        "1.0.0", "1.0.0", "PASSED", 2,
    )  # fmt: skip
    assert (found["architecture"], found["parameter_count"], found["license_type"]) == ("llama", 7, None)
    assert found["read"]["architecture"] == {"value": "llama", "read_from": "config.json#model_type"}
    assert (found["size"], found["files"]) == (3, 2)


def test_a_model_without_a_version_that_passed(served: Served) -> None:
    settle(served.catalog, "a", "1.0.0", "FAILED", name="models/failed")
    found = served.get("/models/models/failed").json()
    assert (found["version"], found["default_version"], found["status"]) == ("1.0.0", None, "FAILED")


def test_models_come_in_parts(served: Served) -> None:
    names = [f"parts/{number}" for number in range(5)]
    for name in names:
        settle(served.catalog, name=name)
    found, cursor, parts = [], "", 0
    while True:
        part = served.get("/models", params={"limit": 2, "cursor": cursor}).json()
        documents.Models.model_validate(part, strict=True)
        found += [model["name"] for model in part["items"]]
        parts += 1
        if not (cursor := part["next"]):
            break
    assert [name for name in found if name.startswith("parts/")] == names
    assert found == sorted(set(found))
    assert parts == (len(found) + 1) // 2


def test_what_a_client_has_is_not_sent_again(served: Served) -> None:
    settle(served.catalog, name="models/tagged")
    first = served.get("/models/models/tagged")
    etag = first.headers["etag"]
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = served.get("/models/models/tagged", headers={"If-None-Match": condition})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert served.get("/models/models/tagged", headers={"If-None-Match": '"other"'}).status_code == 200
    served.catalog.withdraw("models/tagged", "1.0.0", "recalled")
    assert served.get("/models/models/tagged", headers={"If-None-Match": etag}).json()["status"] == "FAILED"
