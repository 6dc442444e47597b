"""The list of models, and one model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served, holds
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


def test_what_a_person_declares_is_shown_beside_what_the_files_say(served: Served) -> None:
    settle(served.catalog, name="models/declared")
    path, key = "/models/models/declared", served.key("publisher", "models/*")
    before = served.get(path)
    assert (before.json()["declared"], before.json()["warnings"]) == (None, [])
    body = {"parameter_count": 8, "license_type": "apache-2.0", "tags": ["Chat"], "context_length": 8192}
    response = served.request("PUT", path, json=body, headers={**key, "If-Match": before.headers["etag"]})
    found = holds(documents.WholeModel, response)
    assert response.headers["etag"] == served.get(path).headers["etag"] != before.headers["etag"]
    assert found["declared"].items() >= body.items()
    assert found["declared"]["declared_by"].startswith("key:publisher-")
    assert (found["parameter_count"], found["license_type"], found["context_length"]) == (7, "apache-2.0", 8192)
    assert found["license_restrictions"]["commercial_use"] is True
    assert found["warnings"] == ["parameter_count: 8 was declared, but the files say 7 (shapes)."]
    for query in ("license=apache-2.0&tag=chat", "license=Apache%202.0", "max_params=7"):
        assert "models/declared" in [
            one["name"] for one in served.get(f"/models?search=models/d&{query}").json()["items"]
        ]
    assert served.get("/models/models/declared/versions/1.0.0").json()["license_type"] == "apache-2.0"
    assert served.get("/models/models/declared/versions").json()["items"][0]["tags"] == ["Chat"]
    stale = served.request("PUT", path, json=body, headers={**key, "If-Match": before.headers["etag"]})
    assert (stale.status_code, stale.json()["type"]) == (412, "urn:weighbridge:problem:changed-meanwhile")
    for excluded in ("*", response.headers["etag"]):
        assert served.request("PUT", path, json=body, headers={**key, "If-None-Match": excluded}).status_code == 412
    back = dict.fromkeys(body)
    found = holds(
        documents.WholeModel, served.request("PUT", path, json={**back, "name": "models/declared"}, headers=key)
    )
    assert (found["declared"], found["warnings"], found["license_type"]) == (None, [], None)
    rows = [row for row in served.catalog.audit.of_model("models/declared") if row.action == "model.declared"]
    assert [(row.before, row.after) for row in rows] == [(None, body), (body, None)]


def test_of_writers_who_read_the_same_state_one_wins(served: Served) -> None:
    settle(served.catalog, name="models/raced")
    key, etag = served.key("publisher"), served.get("/models/models/raced").headers["etag"]

    def change(number: int) -> int:
        headers = {**key, "If-Match": etag}
        return served.request(
            "PUT", "/models/models/raced", json={"context_length": number}, headers=headers
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(1, 9))) == [200, *[412] * 7]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"parameter_count": "many"}, 422),
        ({"parameter_count": 0}, 422),
        ({"licence": "mit"}, 422),
        ({"license_restrictions": {"commercial_use": "yes"}}, 422),
        ({"license_restrictions": {"monthly_active_users_limit": 0}}, 422),
        ({"license_restrictions": {"monthly_active_users_limit": True}}, 422),
        ({"license_restrictions": dict.fromkeys(map(str, range(51)), 1)}, 422),
        ({"license_restrictions": {"derivatives": None} | dict.fromkeys(map(str, range(50)), 1)}, 422),
        ({"name": "another"}, 400),
        ([], 422),
    ],
)
def test_what_cannot_be_declared(served: Served, body: object, status: int) -> None:
    settle(served.catalog, name="models/undeclared")
    response = served.request("PUT", "/models/models/undeclared", json=body, headers=served.key("publisher"))
    assert response.status_code == status, response.text
    assert served.catalog.declarations.of("models/undeclared") is None


def test_who_may_declare(served: Served) -> None:
    settle(served.catalog, name="models/mine")
    for headers, status in (
        ({}, 401),
        (served.key("reader"), 403),
        (served.key("publisher", "other/*"), 403),
        (served.key("admin"), 200),
    ):
        response = served.request("PUT", "/models/models/mine", json={"tags": ["a"]}, headers=headers)
        assert response.status_code == status
    assert served.request("PUT", "/models/none", json={}, headers=served.key("admin")).status_code == 404
