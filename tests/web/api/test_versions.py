"""The versions of a model, their files, and in what two of them differ."""

from __future__ import annotations

import json

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served, holds
from weighbridge.domain.version import Publication
from weighbridge.web.api import documents
from weighbridge.web.api.cursors import cursor_of

pytestmark = pytest.mark.xdist_group("web")


def test_versions_come_in_parts_the_latest_first(served: Served) -> None:
    numbers = [f"1.{number}.0" for number in range(5)]
    for number in numbers:
        settle(served.catalog, number, number, name="versions/many")
    found, cursor = [], ""
    while True:
        part = holds(documents.Versions, served.get(f"/models/versions/many/versions?limit=2&cursor={cursor}"))
        found += [version["version"] for version in part["items"]]
        if not (cursor := part["next"]):
            break
    assert found == numbers[::-1]
    assert [version["default"] for version in part["items"]] == [False]
    assert served.get("/models/versions/none/versions").status_code == 404


def test_a_version(served: Served) -> None:
    settle(served.catalog, "a", "1.0.0", name="versions/one")
    settle(served.catalog, "b", "1.1.0", "FAILED", name="versions/one")
    served.catalog.places.add("versions/one", "1.0.0", Publication("mlflow", "models:/one/1", ("import mlflow",)))
    found = holds(documents.WholeVersion, served.get("/models/versions/one/versions/1.0.0"))
    assert (found["status"], found["default"], found["registries"]) == ("PASSED", True, ["mlflow"])
    assert found["published"][0]["load"] == ["import mlflow"]
    assert found["decision"]["verdict"] == "PASSED"
    assert found["decision"]["reasons"][0]["rule"] == "licence"
    served.catalog.withdraw("versions/one", "1.0.0", "recalled")
    found = holds(documents.WholeVersion, served.get("/models/versions/one/versions/1.0.0"))
    assert (found["status"], found["decision"]["reasons"][0]["message"]) == ("FAILED", "recalled")
    for path in ("/models/versions/one/versions/2.0.0", "/models/versions/one/versions/2.0.0/files"):
        problem = served.get(path).json()
        assert (problem["status"], problem["detail"]) == (404, "There is no version 2.0.0 of versions/one.")


def test_the_files_of_a_version(served: Served) -> None:
    settle(served.catalog, "a", "1.0.0", name="versions/files")
    path = "/models/versions/files/versions/1.0.0/files"
    whole = holds(documents.Files, served.get(path))
    assert [(file["path"], file["size"]) for file in whole["items"]] == [
        ("config.json", 2),
        ("sub/größe ½.safetensors", 1),
    ]
    first = holds(documents.Files, served.get(f"{path}?limit=1"))
    second = holds(documents.Files, served.get(f"{path}?limit=1&cursor={first['next']}"))
    assert first["items"] + second["items"] == whole["items"]
    assert second["next"] is None


def test_in_what_two_versions_differ(served: Served) -> None:
    settle(served.catalog, "a", "1.0.0", name="versions/two")
    settle(served.catalog, "bb", "1.1.0", "FAILED", name="versions/two")
    found = holds(documents.DifferenceDocument, served.get("/models/versions/two/diff?before=1.0.0&after=1.1.0"))
    assert (found["before"], found["after"], found["same_files"]) == ("1.0.0", "1.1.0", False)
    assert ("version", "status", "PASSED", "FAILED") in [tuple(change.values()) for change in found["changes"]]
    same = holds(documents.DifferenceDocument, served.get("/models/versions/two/diff?before=1.0.0"))
    assert (same["after"], same["changes"]) == ("1.0.0", [])
    assert served.get("/models/versions/two/diff").json()["errors"][0]["field"] == "query.before"
    assert served.get("/models/versions/two/diff?before=9.0.0").status_code == 404
    assert served.get("/models/versions/two/diff?before=versions/one@1.0.0").status_code == 404


@pytest.mark.parametrize("tail", ["", "/versions", "/versions/1.0.0/files", "/diff?before=1.0.0", "/scan"])
def test_an_unknown_model_names_no_other_one(served: Served, tail: str) -> None:
    settle(served.catalog, name="versions/secret-one")
    response = served.get(f"/models/versions/secret-on{tail}")
    assert response.status_code == 404
    assert "secret-one" not in response.text


@pytest.mark.parametrize("key", [[1, "a"], ["name", "asc", "a", "b"], [], ["\0"], ["\ud800"], [{}]])
def test_a_cursor_of_another_list_is_refused(served: Served, key: list[str | int]) -> None:
    name = f"cursors/{len(json.dumps(key))}"
    settle(served.catalog, name=name)
    for path in ("versions", "versions/1.0.0/files", "versions/1.0.0/reports", "versions/1.0.0/findings"):
        response = served.get(f"/models/{name}/{path}?cursor={cursor_of(key)}")
        assert response.status_code in (400, 422), (path, response.text)
