"""The list of models, and one model."""

from __future__ import annotations

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.web.api import documents
from weighbridge.web.api.cursors import cursor_of

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


@pytest.mark.parametrize("order", [{}, {"sort": "size", "order": "desc"}, {"sort": "created"}, {"sort": "parameters"}])
def test_models_come_in_parts(served: Served, order: dict[str, str]) -> None:
    for number in range(5):
        settle(served.catalog, "x" * number, name=f"parts/{number}")
    found, cursor, sizes = [], "", []
    while True:
        part = served.get("/models", params={"limit": 2, "search": "PARTS/", "cursor": cursor, **order}).json()
        documents.Models.model_validate(part, strict=True)
        found += [model["name"] for model in part["items"]]
        sizes.append(len(part["items"]))
        if not (cursor := part["next"]):
            break
    names = [f"parts/{number}" for number in range(5)]
    assert found == (names[::-1] if order.get("order") else names)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("architecture=LLAMA", ["filters/a", "filters/b"]),
        ("architecture=bert", []),
        ("status=FAILED", ["filters/b"]),
        ("min_size=4&max_size=4", ["filters/b"]),
        ("max_params=7", ["filters/a", "filters/b"]),
        ("max_params=6", []),
        ("tag=x&tag=y", []),
        ("gated=true", []),
        ("gated=false&limit=1", ["filters/a"]),
    ],
)
def test_filters(served: Served, query: str, expected: list[str]) -> None:
    settle(served.catalog, "a", name="filters/a")
    settle(served.catalog, "bb", verdict="FAILED", name="filters/b")
    found = served.get(f"/models?search=filters/&{query}").json()
    assert [model["name"] for model in found["items"]] == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "query.limit"),
        ("limit=201", "query.limit"),
        ("min_size=9223372036854775808", "query.min_size"),
        ("sort=colour", "query.sort"),
        ("status=passed", "query.status"),
        ("achitecture=llama", "query.achitecture"),
        ("cursor=x", "query"),
        (f"cursor={cursor_of(['name', 'asc', 'a'])}", "query"),
        (f"cursor={cursor_of(['size', 'asc', 1, 'a'])}", "query"),
        (f"sort=size&cursor={cursor_of(['size', 'asc', 2**63, 'a'])}", "query"),
        (f"sort=size&cursor={cursor_of(['size', 'asc', '1', 'a'])}", "query"),
        (f"sort=created&cursor={cursor_of(['created', 'asc', '2026-01-01', 'a'])}", "query"),
        (f"sort=created&cursor={cursor_of(['created', 'asc', 'x', 'a'])}", "query"),
        ("search=" + "x" * 301, "query.search"),
    ],
)
def test_what_makes_no_list_is_named(served: Served, query: str, field: str) -> None:
    problem = served.get(f"/models?{query}").json()
    assert problem["status"] == 422
    assert [error["field"] for error in problem["errors"]] == [field]


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
