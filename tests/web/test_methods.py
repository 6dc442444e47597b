"""A method that a path does not have is refused, with all that it has."""

from __future__ import annotations

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.web.problems import MEDIA_TYPE

pytestmark = pytest.mark.xdist_group("web")


def test_every_path_names_all_its_methods(served: Served) -> None:
    document = served.get("/openapi.json").json()
    root = served.url.removesuffix("/api")
    for path, operations in document["paths"].items():
        methods = {method.upper() for method in operations}
        response = served.client.request("TRACE", root + path.replace("{id}", "a/b"))
        assert (response.status_code, response.headers["content-type"]) == (405, MEDIA_TYPE)
        assert set(response.headers["allow"].split(", ")) - {"HEAD"} == methods, path
        assert ("HEAD" in response.headers["allow"]) == ("GET" in methods)


@pytest.mark.parametrize("word", ["import", "leaderboard"])
def test_a_word_of_a_route_is_no_model_for_other_methods(served: Served, word: str) -> None:
    settle(served.catalog, name=word)
    key = served.key("admin")
    for method, path in (("DELETE", f"/models/{word}"), ("PUT", f"/models/{word}")):
        assert served.request(method, path, headers=key).status_code == 405
    assert served.get("/models/import").status_code == 405
    escaped = f"/models/%{ord(word[0]):x}{word[1:]}"
    assert served.get(escaped).json()["name"] == word
