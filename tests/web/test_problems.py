"""Every refusal is a problem (RFC 9457): of what kind, why, what to do, and which field."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.services.weighbridge import Served, serving
from weighbridge import errors
from weighbridge.errors import IssuerUnavailable, WeighbridgeError
from weighbridge.web.problems import MEDIA_TYPE, STATUSES, of_error

pytestmark = pytest.mark.xdist_group("web")
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WeighbridgeError)]


def test_an_unknown_model(served: Served) -> None:
    response = served.get("/models/no/such")
    assert response.status_code == 404
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.json() == {
        "type": "urn:weighbridge:problem:not-in-catalog",
        "title": "Not found",
        "status": 404,
        "detail": "There is no model no/such.",
        "remedy": "GET /models lists those that there are.",
    }


def test_each_wrong_field_is_named(served: Served) -> None:
    problem = served.get("/models?limit=x&status=%00").json()
    assert problem["status"] == 422
    assert {error["field"] for error in problem["errors"]} == {"query.limit", "query.status"}
    assert "query.limit" in problem["detail"]


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/models/", "/models//a", "/../etc/passwd", "/%2e%2e/x"])
def test_an_unknown_path(served: Served, path: str) -> None:
    connection = http.client.HTTPConnection(*served.url.split("/")[2].split(":"))  # type: ignore[arg-type]
    connection.request("GET", f"/api{path}")
    response = connection.getresponse()
    assert (response.status, response.headers["content-type"]) == (404, MEDIA_TYPE)
    connection.close()


def test_a_method_that_is_not_there(served: Served) -> None:
    response = served.request("PATCH", "/models")
    assert (response.status_code, response.headers["content-type"]) == (405, MEDIA_TYPE)
    assert response.headers["allow"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_problem(kind: type[WeighbridgeError]) -> None:
    problem, headers = of_error(kind("The folder /srv/secret is full.", "Empty it."))
    assert (problem.status == 503) == kind.retryable
    assert (problem.status in (429, 503)) == ("retry-after" in headers)
    if problem.status < 500 or kind is IssuerUnavailable:
        assert (problem.detail, problem.remedy) == ("The folder /srv/secret is full.", "Empty it.")
    else:
        assert "secret" not in str(problem)
        assert problem.instance


def test_the_nearest_kind_counts() -> None:
    for kind, status in STATUSES.items():
        if not kind.retryable:
            assert of_error(kind("x"))[0].status == status


def test_a_name_that_no_model_can_have(served: Served) -> None:
    problem = served.get(f"/models/{'x' * 5000}").json()
    assert (problem["status"], problem["errors"][0]["field"]) == (422, "path.id")


def test_what_the_server_cannot_do_is_in_its_log_only(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        with served.catalog._database.write() as connection:
            connection.execute(text("ALTER TABLE listings RENAME TO moved"))
        response = served.get("/models")
        served.stop()
    problem = response.json()
    assert (response.status_code, problem["title"]) == (500, "Internal error")
    assert str(tmp_path) not in response.text
    assert "listings" not in response.text
    line = next(line for line in served.said if problem["instance"] in line)
    assert str(tmp_path) in line
    assert "no such table: listings" in line
