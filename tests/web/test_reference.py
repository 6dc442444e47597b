"""The page about the API: every operation, nothing from elsewhere, no script."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.services.weighbridge import Served, serving

pytestmark = pytest.mark.xdist_group("web")


class _Page(HTMLParser):
    """Collects what a page loads, and the tags that it leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [str(value) for name, value in attributes if name in ("src", "href")]


def test_the_page_names_every_operation_and_loads_nothing_from_elsewhere(served: Served) -> None:
    response = served.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = _Page()
    page.feed(response.text)
    assert page.tags & {"script", "iframe", "img", "style"} == set()
    assert set(page.links) == {"/api/docs/style.css", "/api/openapi.json"}
    for link in page.links:
        assert served.client.get(served.url.removesuffix("/api") + link).status_code == 200
    document = served.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"<b>{method.upper()}</b> <code>{path}</code> {operation['summary']}" in response.text
            assert operation["description"]


def test_the_page_shows_fields_and_an_example_of_each_body(served: Served) -> None:
    page = served.get("/docs").text
    assert page.count("<p>It takes JSON:</p>") == page.count("</table><pre>{")
    assert "<td><code>license_restrictions.commercial_use</code>" in page
    assert "may be written <code>/</code> or <code>%2F</code>" in page
    assert "`" not in page


def test_every_operation_says_how_it_may_be_refused(served: Served) -> None:
    document = served.get("/openapi.json").json()
    assert "HTTPValidationError" not in str(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            has_values = "parameters" in operation or "requestBody" in operation
            assert {"401", "403", "429", "503"} <= operation["responses"].keys()
            assert ("422" in operation["responses"]) == has_values
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (operation["operationId"], status)


def test_the_page_is_open_where_reading_is_closed(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("closed"), {"WEIGHBRIDGE_API_READING": "closed"}) as served:
        assert [served.get(path).status_code for path in ("/models", "/docs", "/openapi.json")] == [401, 200, 200]
        assert re.search("Authorization", served.get("/docs").text)
